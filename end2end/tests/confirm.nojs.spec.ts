import { expect, letTimePass, signUp, test } from "../fixtures.ts";

test("without JavaScript: a page asks for the password, and leads on to the key", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/, /403/);
  const account = await signUp(page);
  letTimePass(account);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Plain");
  await page.getByLabel("Expires").selectOption("7 days");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Confirm with your password" })).toBeVisible();
  await expect(page.getByLabel("Password")).toBeFocused();
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("This is not your password.")).toBeVisible();
  await page.getByLabel("Password").fill(account.password);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("heading", { name: "Your new API key" })).toBeVisible();
  expect(page.url()).not.toContain(account.password);
  await page.getByRole("link", { name: "Done" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Plain" });
  await expect(row).toContainText("Full access");

  letTimePass(account);
  await row.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("button", { name: "Rotate key" }).click();
  await page.getByRole("link", { name: "Cancel" }).click();
  // Back to the dialog that it came from.
  await expect(page).toHaveURL(/\/profile\?rotate=/);
  await page.getByRole("button", { name: "Rotate key" }).click();
  await page.getByLabel("Password").fill(account.password);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("heading", { name: "Your new API key" })).toBeVisible();
});

test("without JavaScript: the other sessions are ended with the password", async ({ page, browser, expectedErrors }) => {
  expectedErrors.push(/403/);
  const account = await signUp(page);
  const other = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await other.goto("/sign-in");
  await other.getByLabel("Email").fill(account.email);
  await other.getByLabel("Password").fill(account.password);
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other).toHaveURL(/\/profile$/);

  letTimePass(account);
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await page.getByLabel("Password").fill(account.password);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page).toHaveURL(/\/profile\?done=signed-out&n=1$/);
  await expect(page.getByRole("table", { name: "Sessions" }).getByRole("row")).toHaveCount(2);
  await other.goto("/profile");
  await expect(other).toHaveURL(/\/sign-in\?next=\/profile$/);
});
