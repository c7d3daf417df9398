import { statSync } from "node:fs";
import { expect, test } from "../fixtures.ts";

/** Bytes of a file of the browser's side, compressed with Brotli. */
const size = (name: string) => statSync(new URL(`../../target/site/pkg/${name}.br`, import.meta.url)).size;

test("the download stays within its budget", () => {
  expect(size("keyfob.wasm") + size("keyfob.js")).toBeLessThan(235_000);
  expect(size("keyfob.css")).toBeLessThan(8_000);
});
