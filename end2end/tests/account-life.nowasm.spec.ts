import { expect, removeWebAssembly, signOut, signUp, test } from "../fixtures.ts";

test.beforeEach(({ context, expectedErrors }) => removeWebAssembly(context, expectedErrors));

test("without WebAssembly: name, password and email address are changed, and the account is deleted", async ({ page }) => {
  const { password } = await signUp(page);
  const account = page.getByRole("region", { name: "Account", exact: true });
  await account.getByLabel("Display name").fill("Grace");
  await account.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await expect(account.getByLabel("Display name")).toHaveValue("Grace");

  await page.getByLabel("Current password").fill("not the password");
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("This is not your current password.")).toBeVisible();
  await page.getByLabel("Current password").fill(password);
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("Password changed.")).toBeVisible();

  const change = page.getByRole("region", { name: "Change email" });
  const address = `grace-${crypto.randomUUID()}@example.com`;
  await change.getByLabel("New email address").fill(address);
  await change.getByLabel("Your password").fill("correct horse battery staple");
  await change.getByRole("button", { name: "Change email" }).click();
  await expect(page.getByText("Email address changed.")).toBeVisible();

  await signOut(page);
  await page.goto("/sign-in");
  await page.getByLabel("Email").fill(address);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).toHaveURL(/\/profile$/);
  const section = page.getByRole("region", { name: "Delete account" });
  await section.getByLabel("Your password").fill("correct horse battery staple");
  await section.getByRole("button", { name: "Delete account" }).click();
  await expect(page.getByText("Your account was deleted.")).toBeVisible();
});
