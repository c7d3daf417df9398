import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type BrowserContext, test as base, expect, type Page } from "@playwright/test";
import type { AxeResults } from "axe-core";

export { expect };

/** The program under test, and the database that its server works on: for what only the operator can do. */
export const keyfob = new URL("../target/debug/keyfob", import.meta.url).pathname;
export const database = `sqlite://${new URL(".data/keyfob.db", import.meta.url).pathname}`;

interface Fixtures {
  /** Errors in the browser's console fail a test, but for those that match one of these: `expectedErrors.push(/401/)`. */
  expectedErrors: RegExp[];
  consoleErrors: void;
}

export const test = base.extend<Fixtures>({
  expectedErrors: async ({}, use) => use([]),
  consoleErrors: [
    async ({ context, expectedErrors }, use) => {
      const errors: string[] = [];
      context.on("console", (message) => {
        if (message.type() === "error") errors.push(`${message.text()} (${message.location().url})`);
      });
      context.on("weberror", (error) => errors.push(String(error.error())));
      await use();
      expect(errors.filter((error) => !expectedErrors.some((expected) => expected.test(error)))).toEqual([]);
    },
    { auto: true },
  ],
});

export interface Account {
  email: string;
  password: string;
}

/** Scripts run, WebAssembly does not: a policy of the organisation, or Lockdown Mode of iOS. The page stays as it was rendered. */
export async function removeWebAssembly(context: BrowserContext, expectedErrors: RegExp[]): Promise<void> {
  expectedErrors.push(/WebAssembly/);
  await context.addInitScript(() => {
    Reflect.deleteProperty(globalThis, "WebAssembly");
  });
}

/** Makes a fresh user through the page, who is signed in afterwards, and waits for the program of the page where it can run. */
export async function signUp(page: Page): Promise<Account> {
  const account = { email: `ada-${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() };
  await page.goto("/sign-up");
  await page.getByLabel("Email", { exact: true }).fill(account.email);
  await page.getByLabel("Password", { exact: true }).fill(account.password);
  await page.getByRole("button", { name: "Sign up", exact: true }).click();
  await expect(page).not.toHaveURL(/\/sign-up/);
  if (test.info().project.name === "default") await waitForProgram(page);
  return account;
}

/** Waits until the program of the page runs. Until then, forms and links load documents, and the style sheet may be on its way. */
export async function waitForProgram(page: Page): Promise<void> {
  await expect(page.locator("html[data-running]")).toBeAttached();
}

/** Signs out and waits until that is done: going on earlier would cut the form's own navigation off. */
export async function signOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await expect(page).toHaveURL(/:\d+\/$/);
}

/** Changes the server's database: for what takes days otherwise. */
export function sql(statement: string): void {
  execFileSync("sqlite3", ["-cmd", ".timeout 5000", database.replace("sqlite://", ""), statement]);
}

/** Makes it long ago that the password was entered in the sessions of this user: nobody waits for 15 minutes. */
export function letTimePass({ email }: Account): void {
  sql(`UPDATE sessions SET confirmed_at = 0 WHERE user_id = (SELECT id FROM users WHERE email = '${email}')`);
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * Asserts that axe-core finds nothing on the page as it stands, in light and in dark.
 * Not for tests without JavaScript: axe waits for timers, and there they never run.
 */
export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    expect(await axeViolations(page), `axe-core on ${page.url()}, ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** What axe-core finds on the page as it is shown. */
export async function axeViolations(page: Page): Promise<string[]> {
  // A form that was sent before the program ran loads a document, and colours are those of its style sheet.
  await page.waitForLoadState("load");
  await page.evaluate(axe);
  const found = await page.evaluate<AxeResults>("axe.run(document, { resultTypes: ['violations'] })");
  return found.violations.map(
    ({ id, help, nodes }) => `${id}: ${help} at ${nodes.map((node) => node.target.join(" ")).join(", ")}`,
  );
}
