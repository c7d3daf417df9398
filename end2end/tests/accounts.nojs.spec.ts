import { expect, signOut, signUp, test } from "../fixtures.ts";

test("without JavaScript: sign in again, save the name, change the password", async ({ page }) => {
  const { email, password } = await signUp(page);
  await page.getByLabel("Display name").fill("Grace");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByLabel("Display name")).toHaveValue("Grace");
  await page.getByLabel("Current password").fill("not the password");
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("This is not your current password.")).toBeVisible();
  await page.getByLabel("Current password").fill(password);
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Change password" }).click();
  await signOut(page);
  await page.goto("/employees");
  await expect(page).toHaveURL(/\/sign-in\?next=\/employees$/);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  const wrong = page.getByText("The email address or the password is wrong.");
  await expect(wrong).toBeVisible();
  await expect(page).toHaveURL(/\/sign-in\?next=\/employees$/);
  await expect(page.getByLabel("Email")).toHaveValue(email);
  await page.reload();
  await expect(wrong).toHaveCount(0);
  await expect(page.getByLabel("Email")).toHaveValue("");
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/employees$/);
});

test("without JavaScript: a password that is too long is not cut, and its field says how long it is", async ({ page }) => {
  await page.goto("/sign-in");
  await page.getByLabel("Email").fill("nobody@example.com");
  await page.getByLabel("Password").fill("🔑 four words ".repeat(12));
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByText("A password has at most 128 characters, and this one has 156.")).toBeVisible();
});

test("without JavaScript: who fails too often gets the form again, with the email address and how long to wait", async ({ page, expectedErrors }) => {
  expectedErrors.push(/429/);
  const email = `nobody-${crypto.randomUUID()}@example.com`;
  await page.goto("/sign-in?next=/employees");
  const alert = page.getByRole("alert");
  for (let tries = 0; tries < 12 && !(await alert.getByText("There were too many").isVisible()); tries += 1) {
    await page.getByLabel("Email").fill(email);
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  await expect(alert).toHaveText(/^There were too many .+\. Wait \d+ seconds?, then try again\.$/);
  await expect(page.getByLabel("Email")).toHaveValue(email);
  await expect(page.getByLabel("Password")).toHaveValue("");
});
