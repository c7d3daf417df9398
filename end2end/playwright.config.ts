import { existsSync, readFileSync } from "node:fs";
import { defineConfig, devices } from "@playwright/test";

// scripts/tools.sh leaves the path of the Chromium that it found here. None: Playwright's own.
const found = new URL("../.tools/chromium", import.meta.url);
const chromium = process.env.KEYFOB_CHROMIUM || (existsSync(found) && readFileSync(found, "utf8").trim()) || undefined;

// Chromium's sandbox does not work for root.
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];

export default defineConfig({
  testDir: "tests",
  reporter: "list",
  workers: 2,
  fullyParallel: true,
  forbidOnly: !!process.env.CI,
  // These end a test that hangs. They say nothing about speed: a shared machine can be several times slower than usual.
  timeout: 300_000,
  expect: { timeout: 30_000 },
  use: {
    ...devices["Desktop Chrome"],
    baseURL: "http://localhost:8765",
    screenshot: "only-on-failure",
    // A colour in the middle of a transition is none that axe should judge.
    contextOptions: { reducedMotion: "reduce" },
    launchOptions: {
      executablePath: chromium,
      args: [
        ...sandbox,
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
      ],
    },
  },
  projects: [
    { name: "default", testIgnore: ["**/*.nojs.spec.ts", "**/*.nowasm.spec.ts", "**/*.speed.spec.ts"] },
    { name: "no-js", testMatch: "**/*.nojs.spec.ts", use: { javaScriptEnabled: false } },
    { name: "no-wasm", testMatch: "**/*.nowasm.spec.ts" },
    // For `make lighthouse` only.
    ...(process.env.KEYFOB_BUILD ? [{ name: "speed", testMatch: "**/*.speed.spec.ts" }] : []),
  ],
  webServer: {
    // The removal stands here because this file is read again by each worker.
    command: `rm -rf .data && exec ../target/${process.env.KEYFOB_BUILD ?? "debug"}/keyfob serve`,
    env: {
      DATABASE_URL: "sqlite://.data/keyfob.db",
      KEYFOB_ADDR: "127.0.0.1:8765",
      KEYFOB_PUBLIC_URL: "http://localhost:8765",
      KEYFOB_LOG: "warn",
      // tests/cors.spec.ts serves a page there.
      KEYFOB_CORS_ORIGINS: "http://localhost:8766",
      // All tests come from one address.
      KEYFOB_SIGN_IN_RATE: "1000",
      LEPTOS_SITE_ROOT: "../target/site",
    },
    url: "http://127.0.0.1:8765/readyz",
    timeout: 30_000,
    gracefulShutdown: { signal: "SIGTERM", timeout: 5_000 },
  },
});
