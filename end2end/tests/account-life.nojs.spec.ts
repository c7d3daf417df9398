import { execFileSync } from "node:child_process";
import { database, expect, keyfob, signUp, test } from "../fixtures.ts";

test("without JavaScript: set a password by a reset link, and delete the account", async ({ page, expectedErrors }) => {
  const { email } = await signUp(page);
  const run = ["user", "reset-link", "--email", email, "--database-url", database, "--public-url", "http://localhost:8765"];
  const link = execFileSync(keyfob, run, { encoding: "utf8" }).trim();
  await page.goto(link);
  await expect(page).toHaveURL(/\/reset-password$/);
  await page.getByLabel("New password").fill("short");
  // The browser checks the length first.
  await page.locator("#new-password").evaluate((field) => field.removeAttribute("minlength"));
  expectedErrors.push(/400/);
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(page.getByText("Use at least 8 characters.")).toBeVisible();
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(page.getByText("Password changed. Sign in with the new one.")).toBeVisible();
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/profile$/);
  const section = page.getByRole("region", { name: "Delete account" });
  await section.getByLabel("Your password").fill("correct horse battery staple");
  await section.getByRole("button", { name: "Delete account" }).click();
  await expect(page.getByText("Your account was deleted.")).toBeVisible();
  await page.goto(link);
  await expect(page.getByRole("heading", { name: "This link doesn't work" })).toBeVisible();
});
