import { execFileSync } from "node:child_process";
import { database, expect, expectAccessible, keyfob, letTimePass, signUp, test, waitForProgram } from "../fixtures.ts";

test("a key of full access needs the password, and typed text is kept", async ({
  page,
  expectedErrors,
}) => {
  expectedErrors.push(/400/, /403/);
  const account = await signUp(page);
  letTimePass(account);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Nightly");
  await form.getByLabel("Expires").selectOption("7 days");
  await form.getByRole("button", { name: "Create", exact: true }).click();

  const confirm = page.getByRole("dialog", { name: "Confirm with your password" });
  const password = confirm.getByLabel("Password");
  await expect(password).toBeFocused();
  await expectAccessible(page);
  // Escape leaves this dialog, and the one below as it was.
  await page.keyboard.press("Escape");
  await expect(confirm).toBeHidden();
  await expect(form.getByRole("alert")).toContainText("Enter your password to continue.");
  await expect(form.getByLabel("Name")).toHaveValue("Nightly");
  await expect(form.getByLabel("Name")).toBeFocused();

  await form.getByRole("button", { name: "Create", exact: true }).click();
  await password.fill("not the password");
  await confirm.getByRole("button", { name: "Continue" }).click();
  await expect(confirm.getByText("This is not your password.")).toBeVisible();
  await expect(password).toBeFocused();
  await expectAccessible(page);
  await password.fill(account.password);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key")).toHaveValue(/^kf_/);
  await expect(confirm).toBeHidden();
  await expect(page.getByRole("button", { name: "Copy", exact: true })).toBeFocused();
  await page.getByRole("button", { name: "Done" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Nightly" });
  await expect(row).toContainText("Full access");

  // For a while it is not asked for again, and then it is.
  await row.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("button", { name: "Rotate key" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  letTimePass(account);
  await row.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("button", { name: "Rotate key" }).click();
  await confirm.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog", { name: "Rotate this key" }).getByRole("button", { name: "Cancel" }).click();
  // Opening the dialog again does not ask by itself.
  await row.getByRole("button", { name: "Rotate" }).click();
  await expect(confirm).toBeHidden();
  await page.getByRole("button", { name: "Rotate key" }).click();
  await password.fill(account.password);
  await confirm.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key")).toHaveValue(/^kf_/);
});

test("a session that ends during the confirmation still continues the form", async ({
  page,
  context,
  expectedErrors,
}) => {
  expectedErrors.push(/401/, /403/);
  const account = await signUp(page);
  letTimePass(account);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Interrupted");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const confirm = page.getByRole("dialog", { name: "Confirm with your password" });
  await confirm.getByLabel("Password").fill(account.password);
  await context.clearCookies();
  await confirm.getByRole("button", { name: "Continue" }).click();
  const again = page.getByRole("dialog", { name: "Sign in again" });
  await again.getByLabel("Password", { exact: true }).fill(account.password);
  await again.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("dialog", { name: "Your new API key" })).toContainText("Interrupted");
});

test("a key that may only read is made without the password", async ({ page }) => {
  letTimePass(await signUp(page));
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Reader");
  await form.getByLabel("Access").selectOption("Read only");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("dialog", { name: "Your new API key" })).toBeVisible();
});

test("sessions are ended with the password", async ({ page, browser, expectedErrors }) => {
  expectedErrors.push(/403/);
  const account = await signUp(page);
  for (let i = 0; i < 2; i++) {
    const other = await (await browser.newContext()).newPage();
    await other.goto("/sign-in");
    await other.getByLabel("Email").fill(account.email);
    await other.getByLabel("Password").fill(account.password);
    await other.getByRole("button", { name: "Sign in" }).click();
    await expect(other.getByRole("heading", { name: "Profile" })).toBeVisible();
    await other.close();
  }
  await page.reload();
  await waitForProgram(page);
  const rows = page.getByRole("table", { name: "Sessions" }).getByRole("row");
  await expect(rows).toHaveCount(4);
  const confirm = page.getByRole("dialog", { name: "Confirm with your password" });
  for (const [button, left] of [["End session", 3], ["Sign out everywhere else", 2]] as const) {
    letTimePass(account);
    await page.getByRole("button", { name: button }).first().click();
    await confirm.getByLabel("Password").fill(account.password);
    await confirm.getByRole("button", { name: "Continue" }).click();
    await expect(confirm).toBeHidden();
    await expect(rows).toHaveCount(left);
  }
});

test("an administrator disables an account with the password", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/, /403/);
  const root = await signUp(page);
  const other = `bob-${crypto.randomUUID()}@example.com`;
  const password = crypto.randomUUID();
  execFileSync(keyfob, ["user", "create", "--email", other, "--password-stdin", "--database-url", database], {
    input: password,
  });
  execFileSync(keyfob, ["user", "promote", "--email", root.email, "--database-url", database]);
  letTimePass(root);
  await page.goto(`/admin/users?search=${encodeURIComponent(other)}`);
  await waitForProgram(page);
  await page.getByRole("link", { name: "Disable" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Disable account" }).click();
  await expect(page.getByRole("heading", { name: "Confirm with your password" })).toBeVisible();
  await expect(page.getByLabel("Password", { exact: true })).toBeFocused();
  await expectAccessible(page);
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("This is not your password.")).toBeVisible();
  await expectAccessible(page);
  await page.getByLabel("Password", { exact: true }).fill(root.password);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page).toHaveURL(/\/admin\/users$/);
  await expect(page.getByText("User disabled.")).toBeVisible();
});

test("somebody becomes an admin of a team with the password", async ({ page, browser, expectedErrors }) => {
  expectedErrors.push(/403/);
  const other = await (await browser.newContext()).newPage();
  const [ada, bob] = [await signUp(page), await signUp(other)];
  await page.goto("/teams");
  await waitForProgram(page);
  await page.getByLabel("Name", { exact: true }).fill("Red team");
  await page.getByLabel("Address").fill(`red-${crypto.randomUUID().slice(0, 8)}`);
  await page.getByRole("button", { name: "Create team" }).click();
  await page.getByLabel("Email").fill(bob.email);
  await page.getByLabel("Role").selectOption("Admin");
  letTimePass(ada);
  await page.getByRole("button", { name: "Add member" }).click();
  const confirm = page.getByRole("dialog", { name: "Confirm with your password" });
  await confirm.getByLabel("Password").fill(ada.password);
  await confirm.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("Invitation created. It's open for 14 days.")).toBeVisible();
  await other.goto("/teams");
  await other.getByRole("button", { name: "Accept" }).click();
  await expect(other.getByText("You joined the team.")).toBeVisible();
  await page.reload();
  await waitForProgram(page);
  const row = page.getByRole("table", { name: "Members" }).getByRole("row", { name: bob.email });
  await expect(row).toContainText("Admin");
  letTimePass(ada);
  await row.getByRole("button", { name: "Make member" }).click();
  await page.getByLabel("Password", { exact: true }).fill(ada.password);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("Role changed.")).toBeVisible();
});

test("the dialog fits a window of 320 pixels", async ({ page, expectedErrors }) => {
  expectedErrors.push(/403/);
  await page.setViewportSize({ width: 320, height: 640 });
  letTimePass(await signUp(page));
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await expect(page.getByRole("dialog", { name: "Confirm with your password" })).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
});
