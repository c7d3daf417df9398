import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { database, expect, keyfob, signUp, test } from "../fixtures.ts";

const API = "http://localhost:8765";
/** In KEYFOB_CORS_ORIGINS. It is the same site as the API, so the browser adds cookies if a page wants that. */
const ALLOWED = 8766;
const FOREIGN = 8767;

async function servePage(port: number): Promise<Server> {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<title>App</title>"));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

interface Call {
  path: string;
  init: { method?: string; headers?: Record<string, string>; body?: string; credentials?: "include" };
}

/** Runs in the page. Returns the status and the headers that the page can read, or the name of the error. */
async function call({ path, init }: Call): Promise<{ status: number; headers: string[] } | string> {
  try {
    const response = await fetch(path, init);
    await response.json();
    return { status: response.status, headers: [...response.headers.keys()] };
  } catch (error) {
    return (error as Error).name;
  }
}

test("a page of an allowed origin calls the API with a key, and never with the session", async ({
  page,
  expectedErrors,
}) => {
  expectedErrors.push(/CORS policy/, /net::ERR_FAILED/, /401/, /403/, /favicon/);
  const account = await signUp(page);
  const arguments_ = ["key", "create", "--user", account.email, "--name", "browser app"];
  const key = execFileSync(keyfob, arguments_, { env: { DATABASE_URL: database }, encoding: "utf8" }).trim();
  const withKey = { authorization: `Api-Key ${key}`, "content-type": "application/json" };
  const employee = JSON.stringify({ name: "Grace Hopper", department: "engineering", salary: 1 });
  const list = `${API}/pegasus/employees/api/employees/`;
  const send = (path: string, init: Call["init"]) => page.evaluate(call, { path, init });
  const servers = [await servePage(ALLOWED), await servePage(FOREIGN)];
  try {
    await page.goto(`http://localhost:${ALLOWED}/`);
    const created = await send(list, { method: "POST", headers: withKey, body: employee });
    expect(created).toMatchObject({ status: 201, headers: expect.arrayContaining(["location", "x-request-id"]) });
    const me = `${API}/api/v1/me`;
    expect(await send(me, { headers: withKey })).toMatchObject({ status: 200 });
    expect(await send(me, {})).toMatchObject({ status: 401 });
    for (const path of [me, list]) {
      expect(await send(path, { credentials: "include" })).toBe("TypeError");
    }
    const bySession = { method: "POST", credentials: "include", body: employee } satisfies Call["init"];
    expect(await send(list, bySession)).toBe("TypeError");
    expect(await send(`${API}/profile`, { headers: withKey })).toBe("TypeError");

    await page.goto(`http://localhost:${FOREIGN}/`);
    expect(await send(me, { headers: withKey })).toBe("TypeError");

    await page.goto("/employees");
    await expect(page.getByText("Grace Hopper")).toHaveCount(1);
  } finally {
    for (const server of servers) server.close();
  }
});
