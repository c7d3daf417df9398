import type { Page } from "@playwright/test";
import { expect, expectAccessible, signUp, sql, test } from "../fixtures.ts";

const API = "/pegasus/employees/api/employees/";
const FORM = /^kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$/;

async function createKey(page: Page, name: string, access = "Full access"): Promise<string> {
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Access").selectOption(access);
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const field = page.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key");
  await expect(field).toHaveValue(FORM);
  return field.inputValue();
}

const finish = (page: Page) => page.getByRole("button", { name: "Done" }).click();
const row = (page: Page, name: string) => page.getByRole("table", { name: "API keys" }).getByRole("row", { name });

test("from signing up to a key that is used and revoked", async ({ page, context, request }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signUp(page);
  await expect(page.getByRole("heading", { name: "Profile" })).toBeVisible();
  await expect(page.getByText("You have no keys yet.")).toBeVisible();

  const shown = await createKey(page, "Nightly report");
  const copy = page.getByRole("button", { name: "Copy", exact: true });
  await expect(copy).toBeFocused();
  await copy.click();
  await expect(page.getByRole("status").filter({ hasText: "Key copied." })).toBeVisible();
  const key = await page.evaluate(() => navigator.clipboard.readText());
  expect(key).toBe(shown);
  await expect(page.getByText(`curl http://localhost:8765${API} -H "Authorization: Api-Key ${key}"`)).toBeVisible();
  await expectAccessible(page);
  await finish(page);

  await expect(row(page, "Nightly report")).toContainText(`${key.slice(0, 11)}…`);
  await expect(row(page, "Nightly report")).toContainText("Active");
  await expect(page.getByRole("button", { name: "Create key" })).toBeFocused();
  await expectAccessible(page);

  const headers = { Authorization: `Api-Key ${key}` };
  expect((await request.get(API, { headers })).status()).toBe(200);

  await row(page, "Nightly report").getByRole("button", { name: "Revoke" }).click();
  const alert = page.getByRole("alertdialog");
  await expect(alert).toContainText("Nightly report");
  await expect(alert.getByRole("button", { name: "Cancel" })).toBeFocused();
  await expectAccessible(page);
  await alert.getByRole("button", { name: "Cancel" }).click();
  await expect(alert).toBeHidden();
  await expect(row(page, "Nightly report").getByRole("button", { name: "Revoke" })).toBeFocused();
  expect((await request.get(API, { headers })).status()).toBe(200);

  await row(page, "Nightly report").getByRole("button", { name: "Revoke" }).click();
  await alert.getByRole("button", { name: "Revoke key" }).click();
  await expect(row(page, "Nightly report")).toContainText("Revoked");
  const refused = await request.get(API, { headers });
  expect(refused.status()).toBe(401);
  expect(await refused.json()).toMatchObject({ code: "key_revoked" });

  await expect(row(page, "Nightly report").getByRole("button", { name: /Rotate|Revoke/ })).toHaveCount(0);
});

test("after Done the key is nowhere", async ({ page, context }) => {
  const bodies: string[] = [];
  await signUp(page);
  const key = await createKey(page, "Secret");
  const secret = key.slice(12);
  await page.getByRole("button", { name: "Done" }).click();
  await expect(row(page, "Secret")).toBeVisible();

  const nowhere = async () => {
    const state = await page.evaluate(() => ({
      html: document.documentElement.outerHTML,
      fields: [...document.querySelectorAll("input")].map((input) => input.value),
      storage: [JSON.stringify(localStorage), JSON.stringify(sessionStorage), JSON.stringify(history.state)],
      cookie: document.cookie,
      url: location.href,
    }));
    expect(JSON.stringify(state)).not.toContain(secret);
    expect(JSON.stringify(await context.cookies())).not.toContain(secret);
  };
  await nowhere();
  page.on("response", async (response) => bodies.push(await response.text().catch(() => "")));
  await page.reload();
  await nowhere();
  await page.getByRole("link", { name: "Employees" }).click();
  await expect(page.getByRole("heading", { name: "Employees", exact: true })).toBeVisible();
  await page.goBack();
  await expect(row(page, "Secret")).toBeVisible();
  await nowhere();
  expect(await (await page.request.get("/profile")).text()).not.toContain(secret);
  expect(bodies.join("")).not.toContain(secret);
});

test("closing before a copy asks first, by Escape and by leaving the page", async ({ page }) => {
  await signUp(page);
  await createKey(page, "Uncopied");
  const dialog = page.getByRole("dialog", { name: "Your new API key" });
  for (let i = 0; i < 3; i++) await page.keyboard.press("Escape");
  await expect(dialog).toBeVisible();
  await expect(dialog.getByRole("alert")).toContainText("You haven't copied the key yet.");
  await dialog.getByRole("button", { name: "Keep it open" }).click();
  await expect(dialog.getByLabel("API key")).toHaveValue(FORM);

  const asked = page.waitForEvent("dialog");
  await page.close({ runBeforeUnload: true });
  const question = await asked;
  expect(question.type()).toBe("beforeunload");
  await question.dismiss();
  await expect(dialog.getByLabel("API key")).toHaveValue(FORM);

  await page.keyboard.press("Escape");
  await dialog.getByRole("button", { name: "Close without copying" }).click();
  await expect(dialog).toBeHidden();
  await expect(row(page, "Uncopied")).toBeVisible();
});

test("after a copy Escape closes the dialog", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signUp(page);
  await createKey(page, "Copied");
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  await expect(page.getByRole("status").filter({ hasText: "Key copied." })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
});

test("where the clipboard is refused the key is selected to be copied by hand", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await signUp(page);
  const key = await createKey(page, "By hand");
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  await expect(page.getByText("The key is selected.")).toBeVisible();
  expect(await page.evaluate(() => getSelection()?.toString())).toBe(key);
});

test("a form that is wrong says so at the field and keeps what was typed", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await expect(form.getByLabel("Name")).toBeFocused();
  await form.getByLabel("Name").fill("   ");
  await form.getByLabel("Expires").selectOption("A date");
  await form.getByLabel("Date").fill("2020-01-01");
  await form.getByLabel("Access").selectOption("Read only");
  await page.evaluate(() => document.querySelector("#create-key-form")?.setAttribute("novalidate", ""));
  await form.getByRole("button", { name: "Create", exact: true }).click();
  await expect(form.getByText("Give the key a name.")).toBeVisible();
  await expect(form.locator(".field-error").getByText("Choose today or a later day.")).toBeVisible();
  await expect(form.getByLabel("Name")).toBeFocused();
  await expect(form.getByLabel("Access")).toHaveValue("read_only");
  await expect(form.getByLabel("Date")).toHaveValue("2020-01-01");
  await expectAccessible(page);
  await form.getByLabel("Name").fill("Right now");
  await form.getByLabel("Expires").selectOption("Never");
  await expect(form.getByText("Works until you revoke it.")).toBeVisible();
  await form.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("dialog", { name: "Your new API key" })).toBeVisible();
  await finish(page);
  await expect(row(page, "Right now")).toContainText("Never");
  await expect(row(page, "Right now")).toContainText("Read only");
});

test("a double click makes one key", async ({ page }) => {
  await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Once");
  await form.getByRole("button", { name: "Create", exact: true }).dblclick();
  await expect(page.getByRole("dialog", { name: "Your new API key" })).toBeVisible();
  await finish(page);
  await expect(page.getByRole("table", { name: "API keys" }).getByRole("row")).toHaveCount(2);
});

test("a key that may only read reads, and is refused when it writes", async ({ page, request }) => {
  await signUp(page);
  const key = await createKey(page, "Reader", "Read only");
  await finish(page);
  const headers = { "X-Api-Key": key };
  expect((await request.get(API, { headers })).status()).toBe(200);
  const refused = await request.post(API, { headers, data: { name: "Eve", department: "hr", salary: 1 } });
  expect(refused.status()).toBe(403);
  expect(await refused.json()).toMatchObject({ code: "scope_missing" });
});

test("after a session ended, signing in again continues the form", async ({ page, context, expectedErrors }) => {
  expectedErrors.push(/401/, /400/);
  const account = await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await expect(page.locator("dialog:modal")).toBeVisible();
  await context.clearCookies();
  await form.getByLabel("Name").fill("Too late");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  await expect(form.getByRole("alert")).toContainText("You're signed out.");
  await expect(form.getByLabel("Name")).toHaveValue("Too late");
  const dialog = page.getByRole("dialog", { name: "Sign in again" });
  await expect(dialog).toContainText(account.email);
  await expectAccessible(page);
  await dialog.getByLabel("Password", { exact: true }).fill("not the password");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await expect(dialog.getByRole("alert")).toContainText("is wrong");
  await dialog.getByLabel("Password", { exact: true }).fill(account.password);
  await dialog.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("dialog", { name: "Your new API key" })).toContainText("Too late");
});

test("emoji and right-to-left names are shown as they are", async ({ page }) => {
  await signUp(page);
  for (const name of ["🔑 deploy", "מפתח הבית"]) {
    await createKey(page, name);
    await finish(page);
    await expect(row(page, name)).toBeVisible();
  }
});

test("the new key's row is marked, and the whole key can be read on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 320, height: 700 });
  await signUp(page);
  const key = await createKey(page, "Marked");
  const field = page.getByRole("textbox", { name: "API key" });
  expect(await field.evaluate((field) => [field.scrollWidth <= field.clientWidth, field.scrollHeight <= field.clientHeight + 2])).toEqual([true, true]);
  await page.getByRole("button", { name: "Copy command" }).click();
  await finish(page);
  await expect(row(page, "Marked")).toContainText("New");
  await expect(page).toHaveURL(/\/profile$/);
  await page.reload();
  await expect(row(page, "Marked")).not.toContainText("New");
  expect(await page.content()).not.toContain(key.slice(12));
});

test("times are in the reader's time zone with UTC behind them, and ages go on", async ({ browser }) => {
  const context = await browser.newContext({ timezoneId: "Asia/Kathmandu", reducedMotion: "reduce" });
  const page = await context.newPage();
  await signUp(page);
  const signedIn = page.getByRole("table", { name: "Sessions" }).getByRole("time").first();
  // The server renders UTC; the program changes that when it starts.
  await expect(async () => {
    const [text, title] = [await signedIn.innerText(), await signedIn.getAttribute("title")];
    expect(title).toMatch(/^\d+ \w{3} \d{4}, \d\d:\d\d UTC$/);
    const shown = Date.parse(`${text} UTC`) - Date.parse(title ?? "");
    expect(shown).toBe((5 * 60 + 45) * 60_000);
  }).toPass({ timeout: 60_000 });

  await createKey(page, "Aging");
  await finish(page);
  const id = (await row(page, "Aging").locator("bdi").first().getAttribute("id"))?.slice("key-".length);
  sql(`INSERT INTO usage (key_id, day, allowed, refused, used_at) VALUES ('${id}', ${Math.floor(Date.now() / 86_400_000)}, 1, 0, ${Date.now()})`);
  await page.clock.install();
  await page.reload();
  await expect(row(page, "Aging")).toContainText("just now");
  await page.clock.fastForward(130_000);
  await expect(row(page, "Aging")).toContainText("2 minutes ago");
  await context.close();
});
