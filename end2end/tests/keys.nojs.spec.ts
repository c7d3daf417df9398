import { expect, signUp, test } from "../fixtures.ts";

const API = "/pegasus/employees/api/employees/";

test("without JavaScript: from signing up to a key that is used and revoked", async ({ page, request, expectedErrors }) => {
  expectedErrors.push(/400/);
  await signUp(page);
  await expect(page).toHaveURL(/\/profile$/);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Plain");
  await page.getByLabel("Expires").selectOption("30 days");
  await page.getByRole("button", { name: "Create", exact: true }).click();

  await expect(page.getByRole("heading", { name: "Your new API key" })).toBeVisible();
  await expect(page.getByText("It won't be shown again")).toBeVisible();
  const key = await page.getByLabel("API key").inputValue();
  expect(key).toMatch(/^kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$/);
  expect(page.url()).not.toContain(key.slice(12));

  const headers = { Authorization: `Api-Key ${key}` };
  expect((await request.get(API, { headers })).status()).toBe(200);

  // The same form sent again makes no second key and does not show the first again.
  await page.reload();
  await expect(page.getByRole("alert")).toContainText("This form was sent already");
  expect(await page.content()).not.toContain(key.slice(12));

  await page.getByRole("link", { name: "Back to your profile" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Plain" });
  await expect(row).toContainText("Active");
  expect(await page.content()).not.toContain(key.slice(12));
  await row.getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("alertdialog")).toContainText("Plain");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("alertdialog")).toBeHidden();
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await expect(page).toHaveURL(/\/profile\?done=revoked$/);
  await expect(row).toContainText("Revoked");
  const refused = await request.get(API, { headers });
  expect(refused.status()).toBe(401);
});

test("without JavaScript: a form that is wrong says so, and keeps what was entered", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("  ");
  await page.getByLabel("Expires").selectOption("A date");
  await page.getByLabel("Date", { exact: true }).fill("2999-12-31");
  await page.getByLabel("Access").selectOption("Only these");
  await page.getByRole("checkbox", { name: /employees:read/ }).check();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: "The key wasn't created" })).toBeVisible();
  await expect(page.getByRole("alert")).toContainText("Give the key a name.");
  await page.getByRole("link", { name: "Back to the form" }).click();
  await expect(page.getByText("Give the key a name.")).toBeVisible();
  await expect(page.getByLabel("Date", { exact: true })).toHaveValue("2999-12-31");
  await expect(page.getByRole("checkbox", { name: /employees:read/ })).toBeChecked();
  await page.getByLabel("Name", { exact: true }).fill("Kept");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("link", { name: "Done" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Kept" });
  await expect(row).toContainText("31 Dec 2999");
  await expect(row).toContainText("employees:read");
});
