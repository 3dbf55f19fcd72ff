// Unit tests: no browser, no network, no real time.

import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { __PLAYER_VERSION__: JSON.stringify("0.0.0-test") },
  test: { include: ["*/tests/**/*.test.ts"], environment: "node", restoreMocks: true },
});
