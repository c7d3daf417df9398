import { expect, expectAccessible, signOut, signUp, test, waitForProgram } from "../fixtures.ts";

test("a protected page sends to sign in and comes back", async ({ page }) => {
  const { email, password } = await signUp(page);
  await signOut(page);
  await page.goto("/employees");
  await expect(page).toHaveURL(/\/sign-in\?next=\/employees$/);
  await page.getByLabel("Email").fill(email.toUpperCase());
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/employees$/);
  await expect(page.getByRole("heading", { name: "Employees", exact: true })).toBeVisible();
});

test("a wrong password and an unknown address are one answer", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  const { email } = await signUp(page);
  await signOut(page);
  for (const address of [email, "nobody@example.com"]) {
    await page.goto("/sign-in");
    await page.getByLabel("Email").fill(address);
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert")).toHaveText("The email address or the password is wrong.");
    await expect(page.getByLabel("Email")).toHaveValue(address);
    await expectAccessible(page);
  }
});

test("who fails too often has to wait, and a browser that the account knows does not", async ({ page, browser, expectedErrors }) => {
  expectedErrors.push(/400|429/);
  const { email, password } = await signUp(page);
  await signOut(page);
  const context = await browser.newContext();
  const stranger = await context.newPage();
  await stranger.goto("/sign-in");
  await stranger.getByLabel("Email").fill(email);
  await stranger.getByLabel("Password").fill("not the password");
  const alert = stranger.getByRole("alert");
  await expect(async () => {
    await stranger.getByRole("button", { name: "Sign in" }).click();
    await expect(alert).toHaveText(/^There were too many .+\. Wait \d+ seconds?, then try again\.$/, { timeout: 500 });
  }).toPass();
  await expect(stranger.getByLabel("Email")).toHaveValue(email);
  await expectAccessible(stranger);
  await context.close();
  await page.goto("/sign-in");
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Profile" })).toBeVisible();
});

test("a password that is too long is not cut, and its field says how long it is", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  await page.goto("/sign-up");
  await page.getByLabel("Email").fill(`bob-${crypto.randomUUID()}@example.com`);
  await page.getByLabel("Password").fill("🔑 four words ".repeat(12));
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByText("Use at most 128 characters; this has 156.")).toBeVisible();
  await expect(page.getByLabel("Password")).toHaveAttribute("aria-invalid", "true");
  await expectAccessible(page);
});

test("a common password is refused at its field", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  await page.goto("/sign-up");
  await page.getByLabel("Email").fill(`bob-${crypto.randomUUID()}@example.com`);
  await page.getByLabel("Password").fill("password1");
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByLabel("Password")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByText("too easy to guess")).toBeVisible();
});

test("the display name, the password and the other sessions", async ({ page, browser, expectedErrors }) => {
  expectedErrors.push(/400/);
  const { email, password } = await signUp(page);
  await page.getByLabel("Display name").fill("Ada Lovelace");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Saved." })).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Display name")).toHaveValue("Ada Lovelace");

  const other = await browser.newPage();
  await other.goto("/sign-in");
  await other.getByLabel("Email").fill(email);
  await other.getByLabel("Password").fill(password);
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other.getByRole("heading", { name: "Profile" })).toBeVisible();

  await page.reload();
  await waitForProgram(page);
  const sessions = page.getByRole("table", { name: "Sessions" });
  await expect(sessions.getByRole("row")).toHaveCount(3);
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await expect(page.getByRole("status").filter({ hasText: "1 other session was signed out." })).toBeVisible();
  await expect(sessions.getByRole("row")).toHaveCount(2);
  await other.goto("/profile");
  await expect(other).toHaveURL(/\/sign-in\?next=\/profile$/);
  await other.close();

  await page.getByLabel("Current password").fill("not the password");
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("This is not your current password.")).toBeVisible();
  await page.getByLabel("Current password").fill(password);
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Password changed." })).toBeVisible();
  await expect(page.getByLabel("New password")).toHaveValue("");
});
