import { expect, signUp, test } from "../fixtures.ts";

test("without JavaScript: a key with one scope is made, and rotated", async ({ page, request }) => {
  await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Scoped");
  await page.getByLabel("Access").selectOption("Only these");
  await page.getByLabel("profile:read").check();
  await page.getByLabel("key:rotate").check();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const old = await page.getByLabel("API key").inputValue();
  await page.getByRole("link", { name: "Done" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Scoped" });
  await expect(row).toContainText("profile:read, key:rotate");
  await row.getByRole("button", { name: "Rotate" }).click();
  await page.getByLabel("Keep the previous secret for").selectOption("15 minutes");
  await page.getByRole("button", { name: "Rotate key" }).click();
  const key = await page.getByLabel("API key").inputValue();
  for (const secret of [old, key]) {
    const answer = await request.get("/api/v1/me", { headers: { Authorization: `Bearer ${secret}` } });
    expect(await answer.json()).toMatchObject({ via: "api_key", key: { scopes: ["profile:read", "key:rotate"] } });
  }
});
