// Builds the player script (one file, global names).

import { defineConfig } from "vite";
import manifest from "./package.json" with { type: "json" };

export default defineConfig({
  define: { __PLAYER_VERSION__: JSON.stringify(manifest.version) },
  build: {
    outDir: "dist/player/v1",
    emptyOutDir: true,
    target: "es2022",
    reportCompressedSize: false,
    lib: {
      entry: "player/src/global.ts",
      name: "HeadwaterPlayerBundle",
      formats: ["iife"],
      fileName: () => "headwater-player.js",
    },
  },
});
