// Runs Lighthouse (mobile) on the release build, and fails below the scores that the project promises.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "chrome-launcher";
import lighthouse from "lighthouse";

const PORT = 8771;
const ORIGIN = `http://localhost:${PORT}`;
const ACCOUNT = { email: "ada@example.com", password: "four words for tests" };
/** The categories of a page, with their least scores. robots.txt lets only the home page be indexed. */
const BASE = { performance: 98, accessibility: 100, "best-practices": 100 };
const PAGES = [
  { path: "/", scores: { ...BASE, seo: 100 } },
  { path: "/sign-in", scores: BASE },
  { path: "/profile", scores: BASE, signedIn: true },
  { path: "/employees", scores: BASE, signedIn: true },
];

const root = join(import.meta.dirname, "../..");
const program = join(root, "target/release/keyfob");
const folder = mkdtempSync(join(tmpdir(), "keyfob-lighthouse-"));
const env = {
  ...process.env,
  DATABASE_URL: `sqlite://${join(folder, "keyfob.db")}`,
  KEYFOB_ADDR: `127.0.0.1:${PORT}`,
  KEYFOB_PUBLIC_URL: ORIGIN,
  KEYFOB_LOG: "warn",
};
const run = (...parts) => spawnSync(program, parts, { cwd: root, env, input: ACCOUNT.password, stdio: ["pipe", "ignore", "inherit"] });

async function ready() {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await fetch(`${ORIGIN}/readyz`).catch(() => null))?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("Keyfob did not start.");
}

/** Signs in, fills both lists, and returns the cookie. */
async function signIn() {
  const send = async (path, fields, cookie = "") => {
    const headers = { accept: "application/json", origin: ORIGIN, cookie };
    const answer = await fetch(ORIGIN + path, { method: "POST", headers, body: new URLSearchParams(fields) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.headers.getSetCookie().map((value) => value.split(";")[0]).join("; ");
  };
  const cookie = await send("/fn/sign_in", ACCOUNT);
  await send("/fn/load_sample_employees", {}, cookie);
  return cookie;
}

/** Returns the lines about what a page lacks: the best of five runs, because other programs only make a run slower. */
async function check(chrome, page, cookie) {
  let missed = [];
  for (let run = 0; run < 5; run += 1) {
    missed = await checkOnce(chrome, page, cookie);
    if (missed.length === 0) break;
  }
  return missed;
}

async function checkOnce(chrome, { path, scores, signedIn }, cookie) {
  const { lhr } = await lighthouse(ORIGIN + path, {
    port: chrome.port,
    onlyCategories: Object.keys(scores),
    extraHeaders: signedIn ? { Cookie: cookie } : {},
    logLevel: "error",
  });
  const missed = [];
  const line = Object.entries(scores).map(([id, least]) => {
    const { score, auditRefs } = lhr.categories[id];
    const percent = Math.round(score * 100);
    if (percent < least) {
      const failed = auditRefs.map((ref) => lhr.audits[ref.id]).filter((audit) => audit.score !== null && audit.score < 0.9);
      missed.push(`${path} ${id}: ${percent}, at least ${least}: ${failed.map((audit) => `${audit.title} ${audit.displayValue ?? ""}`).join("; ")}`);
    }
    return `${id} ${percent}`;
  });
  const times = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time"];
  console.log(`${path.padEnd(12)} ${line.join(", ")}  (${times.map((id) => `${id} ${lhr.audits[id]?.displayValue}`).join(", ")})`);
  return missed;
}

const found = join(root, ".tools/chromium");
const chromePath = process.env.KEYFOB_CHROMIUM || (existsSync(found) && readFileSync(found, "utf8").trim()) || undefined;
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
run("user", "create", "--email", ACCOUNT.email, "--password-stdin");
for (const name of ["Nightly report", "Deploy", "CI"]) run("key", "create", "--user", ACCOUNT.email, "--name", name, "--expires-in", "90d");
const server = spawn(program, ["serve"], { cwd: root, env, stdio: ["ignore", "ignore", "inherit"] });
let chrome;
let missed = ["Lighthouse did not run."];
try {
  await ready();
  const cookie = await signIn();
  chrome = await launch({ chromePath, chromeFlags: ["--headless=new", "--disable-gpu", ...sandbox] });
  missed = [];
  for (const page of PAGES) missed.push(...(await check(chrome, page, cookie)));
} finally {
  chrome?.kill();
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
for (const line of missed) console.error(line);
process.exit(missed.length > 0 ? 1 : 0);
