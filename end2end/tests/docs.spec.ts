import { expect, signUp, test } from "../fixtures.ts";

test("the page of the API lists the operations, and tries one with the session", async ({ page, context }) => {
  const foreign: string[] = [];
  context.on("request", (request) => {
    if (!/^(http:\/\/localhost:\d+\/|data:|blob:)/.test(request.url())) foreign.push(request.url());
  });
  await signUp(page);
  await page.goto("/api/docs");
  const operation = page.locator(".opblock").filter({ hasText: "/api/v1/me" }).first();
  await operation.getByRole("button").first().click();
  await operation.getByRole("button", { name: "Execute" }).click();
  await expect(operation.locator(".live-responses-table .response .response-col_status")).toContainText("200");
  await page.getByRole("button", { name: "Authorize" }).first().click();
  await expect(page.getByRole("heading", { name: "Available authorizations" })).toBeVisible();
  await page.getByRole("button", { name: "Close" }).last().click();
  expect(foreign).toEqual([]);
});

test("the documentation is reached from the navigation, and leads back", async ({ page }) => {
  await signUp(page);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Docs", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Keyfob documentation" })).toBeVisible();
  await page.getByRole("article").getByRole("link", { name: "Get started", exact: true }).click();
  await expect(page).toHaveTitle("Get started · Keyfob");
  await page.getByRole("navigation", { name: "On this page" }).getByRole("link", { name: "See an error" }).click();
  await expect(page).toHaveURL(/\/docs\/get-started#see-an-error$/);
  await page.getByRole("link", { name: "Next: Protect an endpoint" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Protect an endpoint" })).toBeVisible();
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(page).toHaveURL(/\/docs\/protect-an-endpoint$/);
  await page.goBack();
  await page.getByRole("contentinfo").getByRole("link", { name: "Errors" }).click();
  await expect(page.locator("[data-running]")).toBeAttached();
  await page.goBack();
  await page.getByRole("link", { name: "Keyfob", exact: true }).click();
  await expect(page).toHaveURL(/:\d+\/$/);
});
