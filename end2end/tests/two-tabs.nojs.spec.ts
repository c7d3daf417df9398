import { expect, signOut, signUp, test } from "../fixtures.ts";

test("without JavaScript: a page of one account does nothing as another that signs in in a second tab", async ({ page, context, expectedErrors }) => {
  expectedErrors.push(/409/);
  const other = await signUp(page);
  await signOut(page);
  await signUp(page);
  await page.getByLabel("Display name").fill("Whose");

  const second = await context.newPage();
  await second.goto("/sign-in");
  await second.getByLabel("Email").fill(other.email);
  await second.getByLabel("Password").fill(other.password);
  await second.getByRole("button", { name: "Sign in" }).click();
  await expect(second).toHaveURL(/\/profile$/);

  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert")).toContainText("You're signed in to another account now.");
  await page.getByRole("link", { name: "Reload the page" }).click();
  await expect(page).toHaveURL(/\/profile$/);
  await expect(page.getByText(other.email).first()).toBeVisible();
  await expect(page.getByLabel("Display name")).toHaveValue("");
});
