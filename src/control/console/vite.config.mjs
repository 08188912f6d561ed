import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What is copied into the page; their licences have to be beside it. */
const BUNDLED = ['preact', 'uplot', '@fontsource-variable/inter'];

const NODE = 'http://127.0.0.1:9464';

const licences = {
  name: 'licences',
  generateBundle() {
    for (const name of BUNDLED) {
      const folder = new URL(`../../../node_modules/${name}/`, import.meta.url);
      const source = readFileSync(new URL('LICENSE', folder), 'utf8');
      this.emitFile({ type: 'asset', fileName: `assets/${name.split('/').at(-1)}.LICENSE.txt`, source });
    }
  },
};

/** @type {import('vite').UserConfig} */
export default {
  // Relative, so that the page also works below a path of another server.
  base: './',
  root: fileURLToPath(new URL('.', import.meta.url)),
  build: {
    outDir: fileURLToPath(new URL('../../../dist/src/control/console', import.meta.url)),
    emptyOutDir: true,
    target: ['chrome123', 'firefox128', 'safari17.5'],
    // The Content-Security-Policy allows neither data: URLs nor inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  // `vite` alone serves the page from its sources, beside a node at the usual port, which refuses other sites.
  server: { proxy: { '/api': { target: NODE, ws: true, changeOrigin: true, headers: { origin: NODE } } } },
  plugins: [licences],
};
