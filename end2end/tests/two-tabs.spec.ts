import { type Account, expect, signOut, signUp, test } from "../fixtures.ts";
import type { Page } from "@playwright/test";

const SENTENCE = "You're signed in to another account now.";

async function signIn(page: Page, { email, password }: Account): Promise<void> {
  await page.goto("/sign-in");
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Profile" })).toBeVisible();
}

test("a page of one account does nothing as another that signs in in a second tab", async ({ page, context, expectedErrors }) => {
  expectedErrors.push(/409/);
  const other = await signUp(page);
  await signOut(page);
  const one = await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Whose");

  const second = await context.newPage();
  await signIn(second, other);

  await page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText(SENTENCE);
  await second.reload();
  await expect(second.getByText("You have no keys yet.")).toBeVisible();

  await page.goto("/profile");
  await expect(page.getByText(other.email).first()).toBeVisible();
  await expect(page.getByText(one.email)).toHaveCount(0);
  await page.getByLabel("Display name").fill("Other");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Saved." })).toBeVisible();
});

test("a sign-in goes back to the page with its query, by way of sign-up and a wrong password too", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  const account = await signUp(page);
  await signOut(page);
  await page.goto("/employees?add=");
  await expect(page).toHaveURL(/\/sign-in\?next=\/employees%3Fadd%3D$/);
  await page.getByRole("link", { name: "Sign up" }).click();
  // Both pages have the same fields.
  await expect(page.getByRole("heading", { name: "Sign up" })).toBeVisible();
  await page.getByRole("link", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.getByLabel("Email").fill(account.email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("The email address or the password is wrong.");
  await expect(page.getByLabel("Email")).toHaveValue(account.email);
  await page.getByLabel("Password").fill(account.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/employees\?add=$/);
  await expect(page.getByRole("dialog", { name: "Add employee" })).toBeVisible();
});
