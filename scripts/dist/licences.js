// Prints the licence texts of everything that is in the program: the crates of both sides, Swagger UI and the style sheet.
//     node scripts/dist/licences.js TARGET
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "../..");
const LICENCE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;
const SKIPPED_FOLDERS = new Set(["benches", "examples", "node_modules", "src", "target", "tests"]);
const MAX_DEPTH = 3;

/** Crates that the program needs on one side, without this one. */
function crates(target, feature) {
  const options = ["--format-version=1", "--locked", "--no-default-features", `--features=${feature}`, `--filter-platform=${target}`];
  const text = execFileSync("cargo", ["metadata", ...options], { cwd: root, maxBuffer: 2 ** 28 });
  const { packages, resolve } = JSON.parse(text);
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const needed = new Set([resolve.root]);
  for (const id of needed) {
    for (const { pkg, dep_kinds } of nodes.get(id).deps) {
      if (dep_kinds.some(({ kind }) => kind === null)) needed.add(pkg);
    }
  }
  return packages.filter(({ id }) => id !== resolve.root && needed.has(id));
}

/** Texts of the licence files of a folder and of the C sources in it. */
function texts(folder, depth = 0) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isFile() && LICENCE_FILE.test(entry.name)) found.push(readFileSync(join(folder, entry.name), "utf8").trim());
    if (entry.isDirectory() && depth < MAX_DEPTH && !SKIPPED_FOLDERS.has(entry.name)) {
      found.push(...texts(join(folder, entry.name), depth + 1));
    }
  }
  return found.filter((text) => text !== "");
}

const own = (name) => readFileSync(join(root, name), "utf8").trim();
const apache = own("LICENSE-APACHE");
const mit = own("LICENSE-MIT").replace(/^Copyright.*$/m, "Copyright (c) its authors");

/** Texts for a crate that has no licence file: those of a crate of the same repository, or the standard ones. */
function standardTexts({ name, version, license, repository }, all) {
  const sibling = all.find((other) => repository && other.repository === repository && texts(dirname(other.manifest_path)).length > 0);
  if (sibling) return texts(dirname(sibling.manifest_path));
  const found = [];
  if (license?.includes("MIT")) found.push(mit);
  if (license?.includes("Apache-2.0")) found.push(apache);
  if (found.length === 0) throw new Error(`${name} ${version} (${license}) has no licence file, and no text is known.`);
  return found;
}

const [, , target] = process.argv;
const sides = [...crates(target, "ssr"), ...crates("wasm32-unknown-unknown", "hydrate")];
const all = [...new Map(sides.map((crate) => [crate.id, crate])).values()];
all.sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));

const users = new Map();
const add = (text, name) => users.set(text, new Set([...(users.get(text) ?? []), name]));
for (const crate of all) {
  const own = texts(dirname(crate.manifest_path));
  for (const text of own.length > 0 ? own : standardTexts(crate, all)) add(text, `${crate.name} ${crate.version}`);
}
add(apache, "Swagger UI (Copyright 2020-2021 SmartBear Software Inc.)");
for (const name of ["daisyui", "tailwindcss"]) add(own(`style/node_modules/${name}/LICENSE`), name);

console.log("Keyfob contains the following software.\n");
for (const { name, version, license } of all) console.log(`${name} ${version}: ${license ?? "see below"}`);
for (const [text, names] of users) {
  console.log(`\n${"=".repeat(80)}\n${[...names].join(", ")}\n${"=".repeat(80)}\n\n${text}`);
}
