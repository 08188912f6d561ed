import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import { Readable } from 'node:stream';
import swagger from '@fastify/swagger';
import { fastify } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { packageVersion } from '../config/package-version.js';
import type { CertifiedKey } from '../core/network/certificate.js';
import { registerAudioRoutes } from './api/audio.js';
import { registerEventRoutes } from './api/events.js';
import { registerHoldRoutes } from './api/holds.js';
import { registerInteractionRoutes } from './api/interactions.js';
import { registerNodeRoutes } from './api/node.js';
import { registerRecordingRoutes } from './api/recordings.js';
import { registerSessionRoutes } from './api/session.js';
import { registerConsoleRoutes } from './assets.js';
import { type Connections, closeWithConnection } from './connections.js';
import type { ControlApp, ControlDependencies } from './dependencies.js';
import { ControlError, errorBody } from './errors.js';
import { CORS_HEADERS, securityHeaders } from './headers.js';
import { registerHealthRoutes } from './health/routes.js';
import { registerMetricsRoutes } from './metrics/routes.js';
import type { ControlLimits } from './options.js';

const MAX_HEADER_BYTES = 16_384;
/** Longer parts of a path are no ids of anything. */
const MAX_PARAM_LENGTH = 512;

/** The modules of routes, in the order of the documentation. */
const ROUTES: readonly ((app: ControlApp, dependencies: ControlDependencies) => void)[] = [
  registerHealthRoutes,
  registerMetricsRoutes,
  registerSessionRoutes,
  registerNodeRoutes,
  registerInteractionRoutes,
  registerRecordingRoutes,
  registerHoldRoutes,
  registerAudioRoutes,
  registerEventRoutes,
];

/** An HTTP server that does not listen yet, without routes. */
export function makeHttpServer(limits: ControlLimits, tls: CertifiedKey | undefined): HttpServer | HttpsServer {
  const options = {
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Node looks for late headers only every 30 s unless configured otherwise.
    connectionsCheckingInterval: Math.max(100, limits.headerMs / 4),
  };
  const server =
    tls === undefined
      ? createServer(options)
      : createTlsServer({ ...options, ...tls, handshakeTimeout: limits.headerMs, minVersion: 'TLSv1.2' });
  server.maxConnections = limits.connections;
  return server;
}

/**
 * The routes on that server, ready to answer. Fastify takes the server as it is: who listens, and on what, is not its
 * concern.
 */
export async function makeApp(
  server: HttpServer | HttpsServer,
  dependencies: ControlDependencies,
  connections: Connections,
): Promise<ControlApp> {
  const { settings } = dependencies;
  const app: ControlApp = fastify<HttpServer | HttpsServer, IncomingMessage, ServerResponse>({
    serverFactory: (handler) => server.on('request', handler),
    bodyLimit: settings.limits.bodyBytes,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: false },
    rewriteUrl: ({ url = '/' }) => below(settings.basePath, url) ?? url,
    forceCloseConnections: true,
    // A path whose escapes are wrong: fastify would answer it in its own form, without these headers.
    frameworkErrors: (_error, _request, { raw }) => {
      connections.count('malformedRequest');
      const headers = securityHeaders(settings.tls !== undefined);
      raw.writeHead(400, { ...headers, 'content-type': 'application/json; charset=utf-8' });
      raw.end(JSON.stringify(errorBody('badRequest', 'The path is not valid.')));
    },
    clientErrorHandler: (error, socket) => {
      // Load balancers open and close connections every few seconds to check the port; that is no failure.
      if (error.code === 'ECONNRESET' || socket.destroyed) return;
      if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') connections.refuse(socket, 'slowRequest', '408 Request Timeout');
      else connections.refuse(socket, 'malformedRequest', '400 Bad Request');
    },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.decorateRequest('caller');
  guardRoutes(app, dependencies);
  answerErrors(app, dependencies, connections);
  // Pages of other sites can send text without a preflight request; nothing here takes it.
  app.removeContentTypeParser('text/plain');
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'trunkline control API', version: packageVersion(), license: { name: 'Apache-2.0' } },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  // In a plugin of their own: swagger sees only routes that are registered after it.
  app.register(async (scope) => {
    for (const register of ROUTES) register(scope as ControlApp, dependencies);
    // What exists there is told only to those who may know; every other path is one of the console's public files.
    scope.all('/api/*', { config: { role: 'viewer' }, schema: { hide: true } }, (_request, reply) =>
      reply.callNotFound(),
    );
    registerConsoleRoutes(scope as ControlApp);
  });
  await app.ready();
  return app;
}

/** Every request passes access control, and every route says what it needs. */
function guardRoutes(app: ControlApp, { access, settings }: ControlDependencies): void {
  const isTls = settings.tls !== undefined;
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.role === undefined) throw new TypeError(`The route ${url} does not declare its role.`);
  });
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers;
    reply.headers(securityHeaders(isTls));
    const isPreflight = request.method === 'OPTIONS' && origin !== undefined;
    if (origin !== undefined && settings.allowedOrigins.includes(origin)) {
      reply.headers({ ...CORS_HEADERS, 'access-control-allow-origin': origin });
      if (isPreflight) return reply.code(204).send();
    }
    const { role = 'viewer', ticket = false } = request.routeOptions.config;
    const pattern = request.routeOptions.url ?? '(unknown)';
    // An unknown path is refused like a known one: what exists is told only to those who may know.
    request.caller = access.admit(request.raw, { role, ticket, pattern });
    // A stream goes on for as long as its token is good.
    const release = access.hold(request.caller, () => reply.raw.destroy());
    reply.raw.once('close', release);
    closeWithConnection(request.raw.socket, reply.raw);
    return undefined;
  });
  app.addHook('onSend', async (_request, reply, payload) => {
    // The connection was closed meanwhile: nothing else would close the file.
    if (reply.raw.destroyed && payload instanceof Readable) payload.destroy();
    return payload;
  });
}

function answerErrors(app: ControlApp, { report }: ControlDependencies, connections: Connections): void {
  app.setNotFoundHandler((_request, reply) => reply.code(404).send(errorBody('notFound', 'There is nothing here.')));
  app.setErrorHandler((thrown, _request, reply) => {
    if (thrown instanceof ControlError) {
      const { statusCode, errorCode, message, retryAfterSeconds } = thrown;
      if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
      if (statusCode === 401) reply.header('www-authenticate', 'Bearer realm="trunkline"');
      return reply.code(statusCode).send(errorBody(errorCode, message));
    }
    if (hasZodFastifySchemaValidationErrors(thrown)) {
      const places = thrown.validation.map(
        ({ instancePath, message }) => `${instancePath.slice(1) || 'it'}: ${message}`,
      );
      return reply.code(400).send(errorBody('badRequest', `The request is not valid. ${places.join('; ')}`));
    }
    const { statusCode = 500, code, message } = thrown as { statusCode?: number; code?: string; message: string };
    // The client has left before the first part of a file was sent to it.
    if (code === 'ERR_STREAM_PREMATURE_CLOSE' && reply.raw.destroyed) return reply;
    if (statusCode === 413) connections.count('bodyTooLarge');
    // Fastify's own refusals, such as a body that is too large.
    if (statusCode < 500) return reply.code(statusCode).send(errorBody(CODES[statusCode] ?? 'badRequest', message));
    report(thrown);
    return reply.code(500).send(errorBody('internal', 'The request failed; see the log.'));
  });
}

const CODES: Readonly<Record<number, string>> = {
  404: 'notFound',
  413: 'bodyTooLarge',
  414: 'pathTooLong',
  415: 'mediaTypeUnsupported',
};

/** The path below the base path; undefined when the request is for another. */
export function below(basePath: string, url: string): string | undefined {
  if (basePath === '') return url;
  if (!url.startsWith(basePath)) return undefined;
  const rest = url.slice(basePath.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : undefined;
}
