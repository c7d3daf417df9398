// Runs the release binary on a fresh database, behind a TLS proxy with a certificate of our own authority.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:https";
import { connect, createServer as listen } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HOST = "127.0.0.1";
const root = join(import.meta.dirname, "../..");

/** Starts both. Returns host and port, the authority's certificate file, and a function that stops them. */
export async function serve() {
  const folder = mkdtempSync(join(tmpdir(), "keyfob-audit-"));
  const port = await freePort();
  const publicPort = await proxy(port, certificate(folder));
  const keyfob = start(folder, port, publicPort);
  const stop = () => {
    keyfob.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await ready(keyfob, port);
  } catch (error) {
    stop();
    throw error;
  }
  return { host: `${HOST}:${publicPort}`, authority: join(folder, "ca.pem"), stop };
}

const portOf = (server) => new Promise((done) => server.listen(0, HOST, () => done(server.address().port)));

async function freePort() {
  const server = listen();
  const port = await portOf(server);
  await new Promise((done) => server.close(done));
  return port;
}

function certificate(folder) {
  const openssl = (...parts) => execFileSync("openssl", parts, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-days", "2", "-subj", "/CN=Keyfob audit", "-keyout", "ca.key", "-out", "ca.pem");
  openssl("req", ...key, "-subj", `/CN=${HOST}`, "-keyout", "server.key", "-out", "server.csr");
  writeFileSync(join(folder, "names"), `subjectAltName=IP:${HOST}\n`);
  const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
  openssl("x509", "-req", "-in", "server.csr", ...authority, "-days", "2", "-extfile", "names", "-out", "server.pem");
  return { key: readFileSync(join(folder, "server.key")), cert: readFileSync(join(folder, "server.pem")) };
}

/** Ends TLS and redirects plain http to https, as a production proxy does. */
async function proxy(to, secrets) {
  const ending = createServer(secrets, (incoming, answer) => {
    const { url: path, method, headers } = incoming;
    const onward = request({ host: HOST, port: to, path, method, headers }, (from) => {
      answer.writeHead(from.statusCode, from.rawHeaders);
      from.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    incoming.pipe(onward);
  });
  const tlsPort = await portOf(ending);
  const entrance = listen((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (first) => {
      // First byte of a TLS handshake.
      if (first[0] !== 0x16) {
        const { port } = entrance.address();
        socket.end(`HTTP/1.1 301 Moved Permanently\r\nLocation: https://${HOST}:${port}/\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      const onward = connect(tlsPort, HOST);
      onward.on("error", () => socket.destroy());
      onward.write(first);
      socket.pipe(onward).pipe(socket);
    });
  });
  return portOf(entrance);
}

function start(folder, port, publicPort) {
  return spawn(join(root, "target/release/keyfob"), ["serve"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      DATABASE_URL: `sqlite://${join(folder, "keyfob.db")}`,
      KEYFOB_ADDR: `${HOST}:${port}`,
      KEYFOB_PUBLIC_URL: `https://${HOST}:${publicPort}`,
      KEYFOB_LOG: "warn",
    },
  });
}

async function ready(keyfob, port) {
  for (let tries = 0; tries < 100 && keyfob.exitCode === null; tries += 1) {
    const answer = await fetch(`http://${HOST}:${port}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("Keyfob did not start.");
}
