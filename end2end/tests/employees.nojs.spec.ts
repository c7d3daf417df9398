import { expect, signUp, test } from "../fixtures.ts";

test("without JavaScript: employees are loaded, added, changed and removed", async ({ page }) => {
  await signUp(page);
  await page.goto("/employees");
  await page.getByRole("button", { name: "Load sample employees" }).click();
  const table = page.getByRole("table", { name: "Employees" });
  await expect(table.getByRole("row")).toHaveCount(13);
  await page.getByRole("button", { name: "Add employee" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Zuse, Konrad");
  await page.getByLabel("Salary").fill("99000");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect(page).toHaveURL(/\/employees\?done=added$/);
  const row = table.getByRole("row", { name: "Zuse" });
  await expect(row).toContainText("Human Resources");
  await row.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("dialog").getByLabel("Department").selectOption("Sales");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(row).toContainText("Sales");
  await row.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Delete employee" }).click();
  await expect(page).toHaveURL(/\/employees\?done=deleted$/);
  await expect(table.getByRole("row")).toHaveCount(13);
});
