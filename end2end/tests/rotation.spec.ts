import { expect, expectAccessible, signUp, test, waitForProgram } from "../fixtures.ts";

test("a key is rotated: both secrets work for a while, and the page says so", async ({ page, request }) => {
  await signUp(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Nightly");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const shown = () => page.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key").inputValue();
  const old = await shown();
  await page.getByRole("button", { name: "Done" }).click();

  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "Nightly" });
  await row.getByRole("button", { name: "Rotate" }).click();
  const dialog = page.getByRole("dialog", { name: "Rotate this key" });
  await expectAccessible(page);
  await dialog.getByLabel("Keep the previous secret for").selectOption("1 hour");
  await dialog.getByRole("button", { name: "Rotate key" }).click();
  const key = await shown();
  expect(key).not.toBe(old);
  expect(key.slice(0, 11)).toBe(old.slice(0, 11));
  await page.getByRole("button", { name: "Done" }).click();
  await expect(row).toContainText("Previous secret works until");
  await expectAccessible(page);
  const status = async (secret: string) =>
    (await request.get("/api/v1/verify", { headers: { "X-Api-Key": secret } })).status();
  expect([await status(old), await status(key)]).toEqual([200, 200]);

  await row.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByLabel("Keep the previous secret for").selectOption("Not at all");
  await dialog.getByRole("button", { name: "Rotate key" }).click();
  const last = await shown();
  await page.getByRole("button", { name: "Done" }).click();
  expect([await status(old), await status(key), await status(last)]).toEqual([401, 401, 200]);

  // The counts are written every 15 seconds; the dialog has an address.
  const id = await row.locator("bdi[id^=key-]").getAttribute("id");
  await page.goto(`/profile?usage=${id?.slice("key-".length)}`);
  await waitForProgram(page);
  const usage = page.getByRole("dialog", { name: "Requests" });
  await expect(usage).toContainText("in the last 30 days");
  await expectAccessible(page);
  await usage.getByRole("button", { name: "Close" }).click();
  await expect(usage).toBeHidden();
  await page.reload();
  await expect(page.getByRole("table", { name: "Events" })).toContainText("Key rotated");
});
