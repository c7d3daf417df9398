import { expect, expectAccessible, signUp, test, waitForProgram } from "../fixtures.ts";

test("the public pages have no violation, in light and dark", async ({ page, expectedErrors }) => {
  expectedErrors.push(/404/);
  for (const path of ["/", "/sign-up", "/sign-in", "/docs/errors", "/not-there"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
    await expectAccessible(page);
  }
});

test("the first page leads to sign up and sign in", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/sign-in$/);
  await page.goBack();
  await page.getByRole("link", { name: "Sign up" }).click();
  await expect(page).toHaveURL(/\/sign-up$/);
});

test("a page that is not there says so, also after the last slash", async ({ page, expectedErrors }) => {
  expectedErrors.push(/404/);
  const answer = await page.goto("/not-there/");
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole("heading", { name: "Page not found" })).toBeVisible();
});

test("every page fits a window of 320 pixels", async ({ page }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  await signUp(page);
  await page.goto("/employees");
  await page.getByRole("button", { name: "Load sample employees" }).click();
  await expect(page.getByRole("table", { name: "Employees" })).toBeVisible();
  for (const path of ["/", "/profile", "/profile?create=", "/employees", "/employees?add=", "/docs/errors"]) {
    await page.goto(path);
    await expect(page.getByRole("heading").first()).toBeVisible();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, path).toBeLessThanOrEqual(320);
  }
});

test("the keyboard alone is enough to create a key", async ({ page }) => {
  await signUp(page);
  await page.reload();
  await waitForProgram(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await page.keyboard.press("Enter");
  for (const section of ["API keys", "Account", "Password", "Email", "Sessions", "Recent activity", "Delete account"]) {
    await page.keyboard.press("Tab");
    await expect(page.getByRole("link", { name: section, exact: true })).toBeFocused();
  }
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Create key" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Name", { exact: true })).toBeFocused();
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Copy", exact: true })).toBeFocused();
});
