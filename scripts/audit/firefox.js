// Opens the pages in Firefox over WebDriver BiDi; the browser tests use Chromium.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";

const PAGES = ["/", "/sign-in", "/docs/errors", "/not-there"];
const OWN_PAGES = ["/profile", "/profile?create=", "/employees", "/employees?add=", "/teams"];
// Leaving a page earlier would log an error.
const LOADED = "performance.getEntriesByType('resource').some((one) => one.name.endsWith('.wasm') && one.responseEnd > 0)";

/** Opens the pages. Fails on any console error, such as a violation of the content security policy. */
export async function visit({ host }) {
  const command = ["firefox-esr", "firefox"].find((name) => spawnSync(name, ["--version"]).status === 0);
  if (!command) {
    console.log("Firefox: missing, so skipped (Debian: apt-get install firefox-esr)");
    return;
  }
  const profile = mkdtempSync(join(tmpdir(), "keyfob-firefox-"));
  const firefox = spawn(command, ["--headless", "--profile", profile, "--remote-debugging-port", "0"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, HOME: profile },
  });
  const ended = new Promise((done) => firefox.on("close", done));
  try {
    const browser = await connect(await addressOf(firefox));
    await walk(browser, `https://${host}`);
    if (browser.errors.length > 0) throw new Error(`Firefox: ${browser.errors.join("\n")}`);
    console.log(`Firefox ${browser.version}: no error on any page`);
  } finally {
    firefox.kill();
    await ended;
    rmSync(profile, { recursive: true, force: true });
  }
}

function addressOf(firefox) {
  let said = "";
  return new Promise((done, failed) => {
    firefox.stderr.on("data", (part) => {
      said += part;
      const found = /WebDriver BiDi listening on (ws:\S+)/.exec(said);
      if (found) done(found[1]);
    });
    firefox.on("close", () => failed(new Error(`Firefox did not start: ${said}`)));
  });
}

async function connect(address) {
  const socket = new WebSocket(`${address}/session`);
  await new Promise((done, failed) => socket.on("open", done).on("error", failed));
  const [waiting, errors] = [new Map(), []];
  socket.on("message", (text) => {
    const { id, type, result, error, message, params } = JSON.parse(text);
    if (id) {
      const { done, failed } = waiting.get(id);
      type === "error" ? failed(new Error(`Firefox: ${error}: ${message}`)) : done(result);
    } else if (params.level === "error") {
      errors.push(params.text);
    }
  });
  const send = (method, params) =>
    new Promise((done, failed) => {
      const id = waiting.size + 1;
      waiting.set(id, { done, failed });
      socket.send(JSON.stringify({ id, method, params }));
    });
  const { capabilities } = await send("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
  await send("session.subscribe", { events: ["log.entryAdded"] });
  const { contexts } = await send("browsingContext.getTree", {});
  return { send, errors, context: contexts[0].context, version: capabilities.browserVersion };
}

async function walk({ send, context }, origin) {
  const run = async (expression) => {
    const { type, result, exceptionDetails } = await send("script.evaluate", {
      expression,
      target: { context },
      awaitPromise: false,
    });
    if (type === "exception") throw new Error(`Firefox: ${exceptionDetails.text}`);
    return result.value;
  };
  const until = async (expression) => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await run(expression).catch(() => false)) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`Firefox: timed out waiting for ${expression}`);
  };
  const open = async (path, whole = LOADED) => {
    await send("browsingContext.navigate", { context, url: origin + path, wait: "complete" });
    await until(whole);
  };
  await open("/api/docs", "document.querySelector('.opblock') !== null");
  for (const path of [...PAGES, "/sign-up"]) await open(path);
  await run(`document.querySelector("[name=email]").value = "fox@example.com";
    document.querySelector("[name=password]").value = "four words for foxes";
    document.querySelector("form button").click()`);
  await until(`location.pathname === "/profile" && ${LOADED}`);
  for (const path of OWN_PAGES) await open(path);
  await open("/profile");
  // Only WASM opens the dialog without loading a page.
  await until("document.querySelector('#open-create-key').click(), document.querySelector('dialog[open]') !== null");
}
