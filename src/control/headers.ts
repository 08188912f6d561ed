import type { ServerResponse } from 'node:http';

/** Of every answer; the console's pages have a policy that allows their own files. */
const HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'cache-control': 'no-store',
  vary: 'Origin',
} as const;

/** The security headers of an answer. */
export function securityHeaders(isTls: boolean): Readonly<Record<string, string>> {
  return isTls ? { ...HEADERS, 'strict-transport-security': 'max-age=31536000' } : HEADERS;
}

/** Beside the origin, for the pages of other sites that the settings allow. */
export const CORS_HEADERS = {
  'cross-origin-resource-policy': 'cross-origin',
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
  'access-control-allow-headers': 'Authorization, Content-Type, Last-Event-ID, Range',
  'access-control-expose-headers': 'Content-Range, Retry-After',
  'access-control-max-age': '600',
} as const;

/** Takes a reply out of fastify's hands, for an answer without end, and sends its head. */
export function beginStream(
  reply: { readonly raw: ServerResponse; hijack(): unknown; getHeaders(): object },
  contentType: string,
): ServerResponse {
  reply.hijack();
  const { raw } = reply;
  const headers = Object.entries(reply.getHeaders() as Record<string, string | number | string[] | undefined>);
  for (const [name, value] of headers) if (value !== undefined) raw.setHeader(name, value);
  // A proxy such as nginx would keep the answer until it has a few kilobytes of it.
  raw.writeHead(200, { 'content-type': contentType, 'accept-ranges': 'none', 'x-accel-buffering': 'no' });
  return raw;
}
