import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import send from '@fastify/send';
import type { ControlApp } from './dependencies.js';

/** Where the console's built files are; also when this runs from the sources, as under Vitest. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/src/control/console/' : './console/', import.meta.url),
);

const MISSING = 'The console has not been built. Run "npm run build" in the checkout of trunkline.\n';

/** Only its own files, its own server, and no other site around it. */
export const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'";

/** The files of the console. They hold no data, so that everybody may have them who reaches the port. */
export function registerConsoleRoutes(app: ControlApp, folder: string = FOLDER): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/*',
    config: { role: 'public' },
    schema: { hide: true },
    handler: async (request, reply) => {
      const path = request.url.split('?', 1)[0] ?? '/';
      if (!existsSync(`${folder}index.html`)) return reply.code(404).type('text/plain; charset=utf-8').send(MISSING);
      const { type, statusCode, headers, stream } = await send(request.raw, path, {
        root: folder,
        index: 'index.html',
        dotfiles: 'ignore',
        // The names of built files hold a hash of their content.
        ...(path.startsWith('/assets/') ? { maxAge: '1y', immutable: true } : { maxAge: 0 }),
      });
      if (type !== 'file' && type !== 'directory' && statusCode === 404) return reply.callNotFound();
      return reply
        .headers({ ...headers, 'content-security-policy': CONSOLE_POLICY })
        .code(statusCode)
        .send(stream);
    },
  });
}
