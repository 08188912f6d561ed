import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The font's licence has to be beside the font. */
const fontLicence = {
  name: 'font-licence',
  generateBundle() {
    const source = readFileSync(fileURLToPath(import.meta.resolve('@fontsource-variable/inter/LICENSE')), 'utf8');
    this.emitFile({ type: 'asset', fileName: 'assets/inter.LICENSE.txt', source });
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
  // `vite` alone serves the page from its sources, beside a node at the usual port.
  server: { proxy: { '/api': { target: 'http:' + '//127.0.0.1:9464', ws: true, changeOrigin: true } } },
  plugins: [fontLicence],
};
