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
