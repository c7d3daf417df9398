import { expect, removeWebAssembly, signUp, test } from "../fixtures.ts";

const API = "/pegasus/employees/api/employees/";

test.beforeEach(({ context, expectedErrors }) => removeWebAssembly(context, expectedErrors));

test("without WebAssembly: a key with a date and scopes, from signing up to revoking it", async ({ page, request }) => {
  await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Plain");
  await page.getByLabel("Expires").selectOption("A date");
  await page.getByLabel("Date", { exact: true }).fill("2999-12-31");
  await page.getByLabel("Access").selectOption("Only these");
  await page.getByRole("checkbox", { name: /employees:read/ }).check();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Your new API key" })).toBeVisible();
  const key = await page.getByLabel("API key").inputValue();

  const headers = { Authorization: `Api-Key ${key}` };
  expect((await request.get(API, { headers })).status()).toBe(200);
  expect((await request.post(API, { headers, data: {} })).status()).toBe(403);

  await page.getByRole("link", { name: "Done" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Plain" });
  await expect(row).toContainText("31 Dec 2999");
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await expect(page).toHaveURL(/\/profile\?done=revoked$/);
  expect((await request.get(API, { headers })).status()).toBe(401);
});

test("with WebAssembly: the fields show when their choice is made", async ({ browser, baseURL }) => {
  const page = await browser.newPage({ baseURL });
  await signUp(page);
  await expect(page.locator("html")).toHaveAttribute("data-running", "");
  await page.getByRole("button", { name: "Create key" }).click();
  await expect(page.getByLabel("Date", { exact: true })).toBeHidden();
  await page.getByLabel("Expires").selectOption("A date");
  await expect(page.getByLabel("Date", { exact: true })).toBeVisible();
  await expect(page.getByRole("group", { name: "Only these" })).toBeHidden();
  await page.getByLabel("Access").selectOption("Only these");
  await expect(page.getByRole("group", { name: "Only these" })).toBeVisible();
  await page.close();
});
