import { brotliCompressSync, constants } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { type Plugin, defineConfig } from 'vite';

/** Packs every file once, so that no request has to. */
const packed: Plugin = {
  name: 'packed',
  apply: 'build',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      for (const file of Object.values(bundle)) {
        const content = file.type === 'chunk' ? file.code : file.source;
        const source = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
        this.emitFile({ type: 'asset', fileName: `${file.fileName}.br`, source });
      }
    },
  },
};

// `npm run dev` asks a running `baton` for everything that is not the page.
const target = process.env['BATON_URL'] ?? 'http://localhost:7880';

export default defineConfig({
  plugins: [svelte(), packed],
  // Older targets would bake the system's colours into the page, and the choice of light or dark would do nothing.
  build: { target: 'es2023', cssTarget: ['chrome123', 'firefox120', 'safari17.5'], modulePreload: { polyfill: false }, assetsInlineLimit: 0, reportCompressedSize: false },
  server: { proxy: { '/ws': { target, ws: true }, '/api': target, '/whip': target, '/whep': target } },
});
