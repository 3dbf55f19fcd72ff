// Builds the viewer site: one page that works at a host's root and below `/website/NAME/`, under a strict security policy.

import { defineConfig } from "vite";
import manifest from "./package.json" with { type: "json" };

export default defineConfig({
  root: "site",
  base: "./",
  define: { __PLAYER_VERSION__: JSON.stringify(manifest.version) },
  build: {
    outDir: "../dist/site",
    emptyOutDir: true,
    target: "es2022",
    reportCompressedSize: false,
    // Nothing inline: the policy forbids it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
});
