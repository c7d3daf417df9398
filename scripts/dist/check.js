// Runs dist/keyfob in an empty folder with only its address set. Checks that it serves the pages and their files byte for byte,
// and that the bills of materials name its crates.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HOST = "127.0.0.1";
const root = join(import.meta.dirname, "../..");

/** Requests a path and returns the raw answer; fetch would decompress it. */
const get = (port, path, headers = {}) =>
  new Promise((done, failed) => {
    const asked = request({ host: HOST, port, path, headers }, async (answer) => {
      const body = Buffer.concat(await answer.toArray());
      done({ status: answer.statusCode, headers: answer.headers, body });
    });
    asked.on("error", failed).end();
  });

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, HOST, () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

async function ready(keyfob, port) {
  for (let tries = 0; tries < 100 && keyfob.exitCode === null; tries += 1) {
    const answer = await get(port, "/readyz").catch(() => null);
    if (answer?.status === 200) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("dist/keyfob did not start.");
}

async function check(port) {
  for (const path of ["/", "/sign-up", "/sign-in", "/docs/errors", "/api/openapi.json"]) {
    assert.equal((await get(port, path)).status, 200, path);
  }
  const page = (await get(port, "/sign-in")).body.toString();
  const version = /\/v-[0-9a-f]{8}(?=\/pkg\/keyfob\.css)/.exec(page)?.[0];
  assert.ok(version, "the page names no style sheet");
  const kinds = { css: "text/css", js: "text/javascript", wasm: "application/wasm" };
  for (const [ending, kind] of Object.entries(kinds)) {
    const name = `pkg/keyfob.${ending}`;
    assert.ok(page.includes(`${version}/${name}`), `the page does not load ${name}`);
    for (const [encoding, file] of [[undefined, name], ["br", `${name}.br`]]) {
      const headers = encoding ? { "accept-encoding": encoding } : {};
      const answer = await get(port, `${version}/${name}`, headers);
      assert.deepEqual([answer.status, answer.headers["content-encoding"]], [200, encoding], file);
      assert.ok(answer.headers["content-type"].startsWith(kind), `${file}: ${answer.headers["content-type"]}`);
      assert.ok(answer.body.equals(readFileSync(join(root, "target/site", file))), `${file} is not what was built`);
    }
  }
  for (const path of ["/favicon.svg", "/favicon.ico", "/robots.txt"]) {
    assert.equal((await get(port, path)).status, 200, path);
  }
}

function checkMaterials(name, crates) {
  const bill = JSON.parse(readFileSync(join(root, "dist", name), "utf8"));
  const names = new Set(bill.components.map((component) => component.name));
  for (const crate of crates) assert.ok(names.has(crate), `${name} lacks ${crate}`);
  for (const { name: crate, version, purl } of bill.components) assert.ok(version && purl, `${name}: ${crate}`);
  console.log(`${name} names ${names.size} crates.`);
}

const folder = mkdtempSync(join(tmpdir(), "keyfob-dist-"));
const port = await freePort();
const env = { KEYFOB_ADDR: `${HOST}:${port}`, KEYFOB_LOG: "warn" };
const keyfob = spawn(join(root, "dist/keyfob"), { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
let log = "";
keyfob.stderr.setEncoding("utf8").on("data", (text) => (log += text));
try {
  await ready(keyfob, port);
  await check(port);
  assert.doesNotMatch(log, /WARN|ERROR/);
  assert.deepEqual(readdirSync(folder), ["data"], "it writes nothing but its data");
  checkMaterials("keyfob.cdx.json", ["leptos", "axum", "sqlx", "argon2", "libsqlite3-sys"]);
  checkMaterials("keyfob-browser.cdx.json", ["leptos", "wasm-bindgen", "web-sys"]);
  console.log("dist/keyfob serves its pages and files from an empty folder.");
} catch (error) {
  console.error(log);
  throw error;
} finally {
  keyfob.kill();
  rmSync(folder, { recursive: true, force: true });
}
