import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { database, expect, expectAccessible, keyfob, signUp, test, waitForProgram } from "../fixtures.ts";

const API = "/pegasus/employees/api/employees/";

test("a user changes the address, downloads the data, and deletes the account", async ({ page, browser, request, expectedErrors }) => {
  expectedErrors.push(/400/);
  const { email, password } = await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Payroll export");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const key = await page.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key").inputValue();
  await page.getByRole("button", { name: "Done" }).click();
  const headers = { Authorization: `Api-Key ${key}` };

  const account = page.getByRole("region", { name: "Account", exact: true });
  const change = page.getByRole("region", { name: "Change email" });
  const address = `grace-${crypto.randomUUID()}@example.com`;
  await change.getByLabel("New email address").fill(address);
  await change.getByLabel("Your password").fill("not the password");
  await change.getByRole("button", { name: "Change email" }).click();
  await expect(change.getByText("This is not your password.")).toBeVisible();
  await expect(change.getByLabel("New email address")).toHaveValue(address);
  await expectAccessible(page);
  await change.getByLabel("Your password").fill(password);
  await change.getByRole("button", { name: "Change email" }).click();
  await expect(page.getByText("Email address changed.")).toBeVisible();
  await expect(account).toContainText(`You sign in with ${address}`);

  const downloading = page.waitForEvent("download");
  await account.getByRole("link", { name: "Download your data as JSON" }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe("keyfob-account.json");
  const text = readFileSync(await download.path(), "utf8");
  const data = JSON.parse(text);
  expect(data.account.email).toBe(address);
  expect(data.keys[0]).toMatchObject({ name: "Payroll export", access: "full" });
  expect(text).not.toContain(key.slice(12));

  const section = page.getByRole("region", { name: "Delete account" });
  await section.getByLabel("Your password").fill("not the password");
  await section.getByRole("button", { name: "Delete account" }).click();
  await expect(section.getByText("This is not your password.")).toBeVisible();
  await expectAccessible(page);
  expect((await request.get(API, { headers })).status()).toBe(200);
  await section.getByLabel("Your password").fill(password);
  await section.getByRole("button", { name: "Delete account" }).click();
  await expect(page.getByText("Your account was deleted.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Sign in", exact: true }).first()).toBeVisible();
  expect(await (await request.get(API, { headers })).json()).toMatchObject({ code: "key_unknown" });
  await page.goBack();
  await expect(page).toHaveURL(/\/sign-in\?next=\/profile/);
  const other = await (await browser.newContext()).newPage();
  for (const typed of [address, email]) {
    await other.goto("/sign-in");
    await other.getByLabel("Email").fill(typed);
    await other.getByLabel("Password").fill(password);
    await other.getByRole("button", { name: "Sign in", exact: true }).click();
    await expect(other.getByText("The email address or the password is wrong.")).toBeVisible();
  }
});

test("an administrator makes a reset link, and deletes a user", async ({ page, browser, expectedErrors }) => {
  const user = await signUp(page);
  const admin = await (await browser.newContext()).newPage();
  const root = await signUp(admin);
  execFileSync(keyfob, ["user", "promote", "--email", root.email, "--database-url", database]);
  await admin.goto(`/admin/users?search=${encodeURIComponent(user.email)}`);
  await admin.getByRole("button", { name: "Reset link" }).click();
  await expect(admin.getByRole("heading", { name: "One-time reset link" })).toBeVisible();
  await expect(admin.getByText(user.email)).toBeVisible();
  await expectAccessible(admin);
  const link = (await admin.getByLabel("Link").inputValue()).trim();
  expect(link).toMatch(/^http:\/\/localhost:8765\/reset-password\?token=[0-9a-f]{64}$/);
  expect(admin.url()).not.toContain("token");

  // Somebody who has forgotten the password.
  const person = await (await browser.newContext()).newPage();
  await person.goto("/sign-in?next=/employees");
  await waitForProgram(person);
  await person.getByRole("link", { name: "Forgot your password?" }).click();
  await expect(person.getByRole("heading", { name: "Forgot your password?" })).toBeFocused();
  await expect(person.getByText("Ask an administrator")).toBeVisible();
  await expectAccessible(person);
  await person.getByRole("link", { name: "Back to sign-in" }).click();
  await expect(person).toHaveURL(/\/sign-in\?next=\/employees$/);
  await person.goto(link);
  await expect(person).toHaveURL(/\/reset-password$/);
  await expect(person.getByText(user.email)).toBeVisible();
  await expect(person.getByLabel("New password")).toBeFocused();
  await expectAccessible(person);
  expectedErrors.push(/400/);
  await person.getByLabel("New password").fill("password1");
  await person.getByRole("button", { name: "Set password" }).click();
  await expect(person.getByText("This password is too easy to guess.")).toBeVisible();
  await person.getByLabel("New password").fill("correct horse battery staple");
  await person.getByRole("button", { name: "Set password" }).click();
  await expect(person.getByText("Password changed. Sign in with the new one.")).toBeVisible();
  await page.goto("/profile");
  await expect(page).toHaveURL(/\/sign-in/);
  await person.getByLabel("Email").fill(user.email);
  await person.getByLabel("Password").fill("correct horse battery staple");
  await person.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(person).toHaveURL(/\/profile$/);
  await person.goto(link);
  await expect(person.getByRole("heading", { name: "This link doesn't work" })).toBeVisible();
  await expectAccessible(person);

  await admin.getByRole("link", { name: "Back to the users" }).click();
  await admin.goto(`/admin/users?search=${encodeURIComponent(user.email)}`);
  await admin.getByRole("link", { name: "Delete" }).click();
  const alert = admin.getByRole("alertdialog", { name: "Delete this account?" });
  await expect(alert).toContainText(user.email);
  await expect(alert.getByRole("button", { name: "Cancel" })).toBeFocused();
  await expectAccessible(admin);
  await alert.getByRole("button", { name: "Delete account" }).click();
  await expect(admin.getByText("User deleted.")).toBeVisible();
  await person.goto("/profile");
  await expect(person).toHaveURL(/\/sign-in/);
});
