// Runs MDN's HTTP Observatory locally.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const GRADE = "A+";
const SCORE = 130;
const observatory = join(import.meta.dirname, "node_modules/@mdn/mdn-http-observatory");

/** Scans the host and prints the results. Fails below the required grade and score. */
export async function scan({ host, authority }) {
  const { error, scan: whole, tests } = await run(host, authority);
  if (error) throw new Error(`Observatory: ${error}`);
  for (const [name, { pass, result, scoreModifier }] of Object.entries(tests)) {
    console.log(`${pass ? "ok  " : "FAIL"} ${String(scoreModifier ?? 0).padStart(4)}  ${name}: ${result}`);
  }
  console.log(`Observatory: grade ${whole.grade}, score ${whole.score}, ${whole.testsPassed} of ${whole.testsQuantity} passed`);
  if (whole.grade !== GRADE || whole.score < SCORE) throw new Error(`Observatory: at least ${GRADE} and ${SCORE} are required.`);
}

/** Runs in its own process, because Node reads trusted authorities at its start. */
function run(host, authority) {
  // Skip the HSTS preload list: it would come from the network, and this host is not on it.
  writeFileSync(join(observatory, "conf/hsts-preload.json"), "{}");
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority };
  const scanner = spawn(process.execPath, [join(observatory, "src/scan.js"), host], { env });
  scanner.stderr.pipe(process.stderr);
  let said = "";
  scanner.stdout.on("data", (part) => (said += part));
  return new Promise((done, failed) => {
    scanner.on("close", () => {
      try {
        done(JSON.parse(said));
      } catch {
        failed(new Error(`Observatory printed no JSON: ${said}`));
      }
    });
  });
}
