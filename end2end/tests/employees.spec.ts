import { expect, expectAccessible, signUp, test } from "../fixtures.ts";

test("employees are loaded, added, changed and removed", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  await signUp(page);
  await page.getByRole("link", { name: "Employees" }).click();
  await expect(page.getByText("There are no employees yet.")).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Load sample employees" }).click();
  const table = page.getByRole("table", { name: "Employees" });
  await expect(table.getByRole("row")).toHaveCount(13);
  await expectAccessible(page);

  await page.getByRole("button", { name: "Add employee" }).click();
  const add = page.getByRole("dialog", { name: "Add employee" });
  await add.getByLabel("Name").fill("Zuse, Konrad");
  await add.getByLabel("Department").selectOption("Engineering");
  await add.getByLabel("Salary").fill("3000000000");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await expect(add.getByText("Enter a salary from 0 to 2147483647.")).toBeVisible();
  await expect(add.getByLabel("Name")).toHaveValue("Zuse, Konrad");
  await expectAccessible(page);
  await add.getByLabel("Salary").fill("99000");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  const row = table.getByRole("row", { name: "Zuse" });
  await expect(row).toContainText("99\u202f000");

  await row.getByRole("button", { name: "Edit" }).click();
  const edit = page.getByRole("dialog", { name: "Edit employee" });
  await expect(edit.getByLabel("Name")).toHaveValue("Zuse, Konrad");
  await edit.getByLabel("Department").selectOption("Sales");
  await edit.getByRole("button", { name: "Save" }).click();
  await expect(row).toContainText("Sales");

  await row.getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("alertdialog").getByRole("button", { name: "Cancel" })).toBeFocused();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete employee" }).click();
  await expect(row).toBeHidden();
  await expect(table.getByRole("row")).toHaveCount(13);
});
