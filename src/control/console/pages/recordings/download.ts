import { request, urlOf } from '../../api/client.js';
import { token } from '../../api/session.js';

/**
 * Saves a file. A link carries no Authorization header and a token must not be in an address, so that with a token the
 * page fetches the file itself.
 */
export async function download(path: string, name: string): Promise<void> {
  if (token() === undefined) return save(urlOf(path), name);
  const response = await request(path, { timeoutMs: 0 });
  const url = URL.createObjectURL(await response.blob());
  save(url, name);
  // The browser has taken hold of the blob by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function save(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
}
