import { expect, removeWebAssembly, signUp, test } from "../fixtures.ts";

test.beforeEach(({ context, expectedErrors }) => removeWebAssembly(context, expectedErrors));

test("without WebAssembly: employees are added, found, sorted and deleted, and the theme is kept", async ({ page }) => {
  await signUp(page);
  await page.getByRole("link", { name: "Employees" }).click();
  await page.getByRole("button", { name: "Load sample employees" }).click();
  await expect(page.getByText("Sample employees added.")).toBeVisible();
  await page.getByRole("button", { name: "Add employee" }).click();
  const dialog = page.getByRole("dialog", { name: "Add employee" });
  await dialog.getByLabel("Name").fill("Barbara Liskov");
  await dialog.getByLabel("Salary").fill("999999");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole("link", { name: "Salary" }).click();
  await expect(page).toHaveURL(/ordering=salary/);
  await page.getByRole("link", { name: "Salary" }).click();
  await expect(page).toHaveURL(/ordering=-salary/);
  const rows = page.getByRole("table", { name: "Employees" }).getByRole("row");
  await expect(rows.nth(1)).toContainText("Barbara Liskov");
  await page.getByLabel("Search").fill("liskov");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(rows).toHaveCount(2);
  await rows.nth(1).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete employee" }).click();
  await expect(page.getByText("Employee deleted.")).toBeVisible();
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});
