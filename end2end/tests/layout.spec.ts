/**
 * Every page and state at four widths, in light and dark: nothing overflows, every target is large enough, axe-core finds nothing.
 * `make screenshots` also takes a picture of each.
 */
import { execFileSync } from "node:child_process";
import type { Browser, BrowserContext, Page } from "@playwright/test";
import { axeViolations, database, expect, keyfob, test } from "../fixtures.ts";

const PASSWORD = "four words for tests";
const env = { ...process.env, DATABASE_URL: database };
const run = (...args: string[]) => execFileSync(keyfob, args, { env, input: PASSWORD, encoding: "utf8" }).trim();

interface Person {
  email: string;
  context: BrowserContext;
}

/** Creates a user and signs in. */
async function person(browser: Browser, name: string, ...options: string[]): Promise<Person> {
  const email = `${name.split(" ")[0].toLowerCase()}-${crypto.randomUUID()}@example.com`;
  run("user", "create", "--email", email, "--name", name, "--password-stdin", ...options);
  const context = await browser.newContext({ baseURL: "http://localhost:8765", reducedMotion: "reduce" });
  const answer = await context.request.post("/fn/sign_in", {
    form: { email, password: PASSWORD },
    headers: { accept: "application/json", origin: "http://localhost:8765" },
  });
  expect(answer.ok()).toBe(true);
  return { email, context };
}

const key = (email: string, name: string, ...options: string[]) =>
  run("key", "create", "--user", email, "--name", name, ...options);

/** Elements that a finger hits with difficulty (WCAG 2.2, 2.5.8). Links within a sentence are exempt. */
async function smallTargets(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const targets = document.querySelectorAll<HTMLElement>("a[href], button, input:not([type=hidden]), select, textarea");
    const isSmall = (element: HTMLElement) => {
      const box = element.getBoundingClientRect();
      const inSentence = element.tagName === "A" && getComputedStyle(element).display === "inline";
      const inLabel = element.closest("label") !== null;
      const isShown = element.checkVisibility({ visibilityProperty: true }) && box.right > 0 && box.bottom > 0;
      return isShown && !inSentence && !inLabel && (box.width < 24 || box.height < 24);
    };
    return [...targets].filter(isSmall).map((element) => element.outerHTML.slice(0, 120));
  });
}

async function look(page: Page, name: string) {
  const problems: string[] = [];
  for (const width of [1280, 768, 375, 320]) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const what = `${name}-${width}-${colorScheme}`;
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (overflow > 0) problems.push(`${what}: ${overflow} pixels too wide`);
      problems.push(...(await axeViolations(page)).map((violation) => `${what}: ${violation}`));
      problems.push(...(await smallTargets(page)).map((target) => `${what}: small target ${target}`));
      if (process.env.KEYFOB_SCREENSHOTS) {
        await page.screenshot({ path: `${process.env.KEYFOB_SCREENSHOTS}/${what}.png`, fullPage: true });
      }
    }
  }
  expect.soft(problems).toEqual([]);
}

/** Goes to each address and looks at it. */
async function lookAtEach(page: Page, states: Record<string, string>) {
  for (const [name, url] of Object.entries(states)) {
    await page.goto(url);
    await expect(page.locator("[data-running]")).toBeAttached();
    await look(page, name);
  }
}

test.describe.configure({ timeout: 600_000 });

test("pages of a visitor", async ({ page, expectedErrors }) => {
  expectedErrors.push(/404/);
  await lookAtEach(page, {
    home: "/",
    "sign-in": "/sign-in",
    "sign-up": "/sign-up",
    "forgot-password": "/forgot-password",
    errors: "/docs/errors",
    "not-found": "/nothing",
  });
  await page.goto("/sign-in");
  await page.getByLabel("Email", { exact: true }).fill("nobody@example.com");
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  expectedErrors.push(/400/);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByText("is wrong")).toBeVisible();
  await look(page, "sign-in-refused");
});

test("the documentation", async ({ page }) => {
  for (const [name, url] of Object.entries({
    docs: "/docs",
    "docs-get-started": "/docs/get-started",
    "docs-settings": "/docs/settings",
    "docs-forward-auth": "/docs/forward-auth",
    "docs-api": "/docs/api",
    "docs-security": "/docs/security",
  })) {
    await page.goto(url);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await look(page, name);
  }
});

test("the profile and its dialogs", async ({ browser }) => {
  const { email, context } = await person(browser, "Ada Lovelace");
  const page = await context.newPage();
  await lookAtEach(page, { "profile-empty": "/profile" });
  const names = [
    "Nightly report",
    "A name that is as long as names may be, so that it has to wrap somewhere in the row of its table, ok",
    "مفتاح النسخ الاحتياطي",
    "日本語のキー",
  ];
  for (const name of names) key(email, name, "--expires-in", "90d");
  const used = key(email, "Deploy", "--no-expiry", "--read-only");
  for (let n = 0; n < 3; n += 1) {
    await context.request.get("/api/v1/me", { headers: { authorization: `Api-Key ${used}`, cookie: "" } });
  }
  key(email, "Soon gone", "--expires-in", "2d");
  key(email, "Expired", "--expires-in", "1s");
  const id = async (name: string) => {
    const cell = page.getByRole("row").filter({ hasText: name }).locator("bdi[id^=key-]");
    return (await cell.getAttribute("id"))?.slice("key-".length) ?? "";
  };
  await page.goto("/profile");
  const [deploy, nightly] = [await id("Deploy"), await id("Nightly report")];
  await lookAtEach(page, {
    profile: `/profile?new=${nightly}`,
    create: "/profile?create=",
    rotate: `/profile?rotate=${deploy}`,
    revoke: `/profile?revoke=${deploy}`,
    done: "/profile?done=revoked",
  });
  for (let n = 0; n < 25; n += 1) key(email, `Machine ${n}`);
  await lookAtEach(page, { "profile-long": "/profile", "profile-no-match": "/profile?search=nothing+like+this" });
  await page.goto("/profile?create=");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByLabel("Name", { exact: true }).fill("CI");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("dialog", { name: "Your new API key" })).toBeVisible();
  await look(page, "new-key");
  await context.close();
});

test("employees and teams", async ({ browser }) => {
  const { context } = await person(browser, "Grace Hopper");
  const page = await context.newPage();
  await lookAtEach(page, { "employees-empty": "/employees", "teams-empty": "/teams" });
  await page.goto("/employees");
  await page.getByRole("button", { name: "Load sample employees" }).click();
  await expect(page.getByText("Sample employees added.")).toBeVisible();
  await lookAtEach(page, { employees: "/employees", "employees-add": "/employees?add=", "employees-no-match": "/employees?search=zzz" });
  await page.goto("/teams");
  await page.getByLabel("Name", { exact: true }).fill("The red team");
  await page.getByLabel("Address", { exact: true }).fill(`red-${crypto.randomUUID().slice(0, 8)}`);
  await page.getByRole("button", { name: "Create team" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "The red team" })).toBeVisible();
  await look(page, "team");
  await context.close();
});

test("pages of administrators", async ({ browser }) => {
  const { email, context } = await person(browser, "Root", "--superuser");
  key(email, "Operations");
  const page = await context.newPage();
  await page.goto("/admin/keys?search=Operations");
  await lookAtEach(page, {
    "admin-keys": `/admin/keys?search=${encodeURIComponent(email)}`,
    "admin-users": `/admin/users?search=${encodeURIComponent(email)}`,
    "admin-audit": `/admin/audit?who=${encodeURIComponent(email)}`,
    "admin-create": "/admin/keys?create=",
  });
  const user = await person(browser, "Grace Hopper");
  await page.goto(`/admin/users?search=${encodeURIComponent(user.email)}`);
  await page.getByRole("link", { name: "Delete" }).click();
  await expect(page.getByRole("alertdialog")).toBeVisible();
  await look(page, "admin-users-delete");
  await page.goto(`/admin/users?search=${encodeURIComponent(user.email)}`);
  await page.getByRole("button", { name: "Reset link" }).click();
  await expect(page.getByLabel("Link")).toBeVisible();
  await look(page, "reset-link");
  await page.goto((await page.getByLabel("Link").inputValue()).trim());
  await look(page, "reset-password");
  await page.goto("/reset-password?token=none");
  await look(page, "reset-password-broken");
  await user.context.close();
  const slug = `billing-${crypto.randomUUID().slice(0, 8)}`;
  run("api", "add", "--slug", slug, "--name", "Billing", "--scope", "invoices", "--scope", "refunds");
  await page.goto("/admin/apis");
  const row = page.getByRole("table", { name: "APIs" }).getByRole("row").filter({ hasText: slug });
  const link = async (name: string) => (await row.getByRole("link", { name, exact: true }).getAttribute("href")) ?? "";
  await lookAtEach(page, {
    "admin-apis": "/admin/apis",
    "admin-apis-add": "/admin/apis?add=",
    "admin-apis-scopes": await link("Scopes"),
    "admin-apis-remove": await link("Remove"),
    "create-with-apis": "/profile?create=",
  });
  run("api", "remove", slug);
  await context.close();
});
