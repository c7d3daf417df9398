// Unpacks the tarball of dist/ and checks what is in it. Runs its program in an empty folder with only its address set: it has to
// serve the pages and their files byte for byte.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const HOST = "127.0.0.1";
const MAX_PROGRAM_BYTES = 25_000_000;
/** Largest exposure of the systemd unit, as `systemd-analyze security` counts it, times ten. */
const MAX_EXPOSURE = 20;
const root = join(import.meta.dirname, "../..");
const unpacked = mkdtempSync(join(tmpdir(), "keyfob-dist-"));

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
  throw new Error("The program did not start.");
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
      if (!encoding) assert.ok(!answer.body.includes(`${homedir()}/`), `${file} names a folder of this machine`);
      assert.ok(answer.body.equals(readFileSync(join(root, "target/site", file))), `${file} is not what was built`);
    }
  }
  for (const path of ["/favicon.svg", "/favicon.ico", "/robots.txt"]) {
    assert.equal((await get(port, path)).status, 200, path);
  }
  const docs = (await get(port, "/api/docs")).body.toString();
  for (const [, file] of docs.matchAll(/(?:src|href)="(\/api\/docs\/[^"]+)"/g)) {
    const answer = await get(port, file);
    assert.ok(answer.status === 200 && answer.body.length > 0, `${file}: ${answer.status}, ${answer.body.length} bytes`);
  }
}

/** Unpacks the one tarball. Returns its folder. */
function unpack() {
  const dist = join(root, "dist");
  execFileSync("sha256sum", ["--check", "--quiet", "SHA256SUMS"], { cwd: dist });
  const tarballs = readdirSync(dist).filter((name) => name.endsWith(".tar.gz"));
  assert.equal(tarballs.length, 1);
  execFileSync("tar", ["--extract", "--file", join(dist, tarballs[0])], { cwd: unpacked });
  return join(unpacked, tarballs[0].replace(/\.tar\.gz$/, ""));
}

const runs = (command, ...options) => {
  try {
    execFileSync(command, options, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

function checkFiles(folder) {
  const files = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "keyfob.service", "keyfob.sysusers"];
  const completions = ["_keyfob", "keyfob.bash", "keyfob.fish"].map((name) => `completions/${name}`);
  for (const name of [...files, ...completions, "man/keyfob.1", "man/keyfob-key-create.1", "docs/deploy.md"]) {
    assert.ok(statSync(join(folder, name)).size > 0, name);
  }
  const program = readFileSync(join(folder, "keyfob"));
  assert.ok(program.length <= MAX_PROGRAM_BYTES, `the program has ${program.length} bytes`);
  for (const path of [homedir(), root]) {
    assert.ok(!program.includes(`${path}/`), `the program names a folder of this machine: ${path}`);
  }
  const licences = readFileSync(join(folder, "LICENSES-THIRD-PARTY.txt"), "utf8");
  for (const name of ["axum ", "leptos ", "libsqlite3-sys ", "Swagger UI"]) assert.ok(licences.includes(name), name);
  console.log(`The program has ${(program.length / 1e6).toFixed(1)} MB.`);
}

function checkUnit(unit) {
  if (!runs("systemd-analyze", "--version")) return console.log("The systemd unit is not checked, because systemd is missing.");
  execFileSync("systemd-analyze", ["security", "--offline=true", `--threshold=${MAX_EXPOSURE}`, unit], { stdio: "pipe" });
}

/** Checks the syntax where this machine has the programs. */
function checkManual(folder) {
  for (const [shell, name] of [["bash", "keyfob.bash"], ["zsh", "_keyfob"], ["fish", "keyfob.fish"]]) {
    if (runs(shell, "-c", "true")) execFileSync(shell, ["-n", join(folder, "completions", name)]);
  }
  if (!runs("man", "--version")) return;
  for (const name of readdirSync(join(folder, "man"))) {
    const options = ["--warnings=w", "--local-file", "--encoding=utf8", join(folder, "man", name)];
    const text = execFileSync("man", options, { env: { ...process.env, LC_ALL: "C.UTF-8", MANWIDTH: "120" }, encoding: "utf8" });
    assert.ok(text.includes("SYNOPSIS"), name);
  }
}

function checkMaterials(folder, name, crates) {
  const bill = JSON.parse(readFileSync(join(folder, "sbom", name), "utf8"));
  const names = new Set(bill.components.map((component) => component.name));
  for (const crate of crates) assert.ok(names.has(crate), `${name} lacks ${crate}`);
  for (const { name: crate, version, purl } of bill.components) assert.ok(version && purl, `${name}: ${crate}`);
  console.log(`${name} names ${names.size} crates.`);
}

const folder = unpack();
checkFiles(folder);
checkUnit(join(folder, "keyfob.service"));
checkManual(folder);
checkMaterials(folder, "keyfob.cdx.json", ["leptos", "axum", "sqlx", "argon2", "libsqlite3-sys"]);
checkMaterials(folder, "keyfob-browser.cdx.json", ["leptos", "wasm-bindgen", "web-sys"]);

const empty = join(unpacked, "empty");
mkdirSync(empty);
const port = await freePort();
const env = { KEYFOB_ADDR: `${HOST}:${port}`, KEYFOB_LOG: "warn" };
const keyfob = spawn(join(folder, "keyfob"), { cwd: empty, env, stdio: ["ignore", "ignore", "pipe"] });
let log = "";
keyfob.stderr.setEncoding("utf8").on("data", (text) => (log += text));
try {
  await ready(keyfob, port);
  await check(port);
  assert.doesNotMatch(log, /WARN|ERROR/);
  assert.deepEqual(readdirSync(empty), ["data"], "it writes nothing but its data");
  console.log("The program serves its pages and files from an empty folder.");
} catch (error) {
  console.error(log);
  throw error;
} finally {
  keyfob.kill();
  rmSync(unpacked, { recursive: true, force: true });
}
