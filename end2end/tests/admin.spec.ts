import { execFileSync } from "node:child_process";
import { database, expect, expectAccessible, keyfob, signUp, test, waitForProgram } from "../fixtures.ts";

const API = "/pegasus/employees/api/employees/";

test("an administrator finds a key by pasting it, sets its expiry, and revokes it", async ({ page, browser, request }) => {
  const user = await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Payroll export");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const key = await page.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key").inputValue();
  await page.getByRole("button", { name: "Done" }).click();
  const headers = { Authorization: `Api-Key ${key}` };
  expect((await request.get(API, { headers })).status()).toBe(200);

  const admin = await (await browser.newContext()).newPage();
  const root = await signUp(admin);
  execFileSync(keyfob, ["user", "promote", "--email", root.email, "--database-url", database]);
  await admin.goto("/admin/keys");
  await expectAccessible(admin);
  await admin.getByLabel("Search").fill(`Authorization: Api-Key ${key}`);
  await admin.getByRole("button", { name: "Search" }).click();
  await expect(admin.getByText("Found by the pasted key.")).toBeVisible();
  expect(admin.url()).not.toContain(key.slice(12));
  expect(await admin.content()).not.toContain(key.slice(12));
  const row = admin.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Payroll export" });
  await expect(row).toContainText(user.email);

  await row.getByRole("link", { name: "Edit" }).click();
  const edit = admin.getByRole("dialog", { name: "Edit API key" });
  await edit.getByLabel("Name").fill("Payroll");
  await edit.getByLabel("Expires").selectOption("7 days");
  await expectAccessible(admin);
  await edit.getByRole("button", { name: "Save" }).click();
  await expect(admin.getByText("Saved.")).toBeVisible();

  await admin.getByLabel("Search").fill(user.email);
  await admin.getByRole("button", { name: "Search" }).click();
  await expect(admin).toHaveURL(/search=/);
  const renamed = admin.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Payroll" });
  await renamed.getByRole("checkbox").check();
  await admin.getByRole("button", { name: "Revoke selected keys" }).click();
  const alert = admin.getByRole("alertdialog");
  await expect(alert).toContainText("Payroll");
  await expectAccessible(admin);
  await alert.getByRole("button", { name: "Revoke key" }).click();
  await expect(admin.getByText("Key revoked.")).toBeVisible();
  const refused = await request.get(API, { headers });
  expect(refused.status()).toBe(401);
  expect(await refused.json()).toMatchObject({ code: "key_revoked" });

  await admin.goto(`/admin/audit?who=${encodeURIComponent(user.email)}`);
  await expect(admin.getByRole("table", { name: "Events" })).toContainText("Account created");
  await expectAccessible(admin);
  await admin.getByLabel("Who or what").fill(`"${key}"`);
  await admin.getByRole("button", { name: "Search" }).click();
  await expect(admin).toHaveURL(new RegExp(`/admin/audit\\?who=${key.slice(0, 11)}&`));
  await expect(admin.getByRole("table", { name: "Events" })).toContainText("Key created");
  await admin.goto(`/admin/users?search=${encodeURIComponent(user.email)}`);
  await admin.getByRole("link", { name: "Disable" }).click();
  await admin.getByRole("alertdialog").getByRole("button", { name: "Disable account" }).click();
  await expect(admin.getByText("User disabled.")).toBeVisible();
  await expectAccessible(admin);
  await page.goto("/profile");
  await expect(page).toHaveURL(/\/sign-in/);
});

test("an administrator makes a key for a user and sees it once", async ({ page, browser, request }) => {
  const user = await signUp(page);
  const admin = await (await browser.newContext()).newPage();
  const root = await signUp(admin);
  execFileSync(keyfob, ["user", "promote", "--email", root.email, "--database-url", database]);
  await admin.goto("/admin/keys");
  await waitForProgram(admin);
  await admin.getByRole("button", { name: "Create key" }).click();
  const form = admin.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("User").fill(user.email);
  await form.getByLabel("Name").fill("For Ada");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const key = await admin.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key").inputValue();
  const me = await request.get("/api/v1/me", { headers: { Authorization: `Bearer ${key}` } });
  expect(await me.json()).toMatchObject({ via: "api_key", user: { email: user.email } });
  await admin.getByRole("button", { name: "Done" }).click();
  await expect(admin.getByRole("table", { name: "API keys" })).toContainText("For Ada");
  expect(await admin.content()).not.toContain(key.slice(12));
});

test("for everybody else there is no administration", async ({ page, expectedErrors }) => {
  expectedErrors.push(/404/);
  await signUp(page);
  await expect(page.getByRole("link", { name: "Admin" })).toHaveCount(0);
  for (const path of ["/admin/keys", "/admin/users", "/admin/audit"]) {
    expect((await page.goto(path))?.status()).toBe(404);
    await expect(page.getByRole("heading", { name: "Page not found" })).toBeVisible();
  }
});
