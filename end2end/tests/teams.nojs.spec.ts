import { expect, signUp, test } from "../fixtures.ts";

test("without JavaScript: invite, decline, invite again, cancel, invite and accept", async ({ page, browser }) => {
  const ada = await signUp(page);
  const other = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  const bob = await signUp(other);
  const slug = `red-${crypto.randomUUID().slice(0, 8)}`;
  await page.getByRole("link", { name: "Teams" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Red team");
  await page.getByLabel("Address").fill(slug);
  await page.getByRole("button", { name: "Create team" }).click();
  await expect(page).toHaveURL(new RegExp(`/a/${slug}$`));

  const invite = async (email: string) => {
    await page.getByLabel("Email").fill(email);
    await page.getByRole("button", { name: "Add member" }).click();
    await expect(page.getByRole("status")).toContainText("Invitation created. It's open for 14 days.");
  };
  const invitations = other.getByRole("table", { name: "Invitations" });
  await invite(`nobody-${crypto.randomUUID()}@example.com`);
  await invite(bob.email);
  await other.goto("/teams");
  await expect(invitations.getByRole("row", { name: "Red team" })).toContainText(ada.email);
  await invitations.getByRole("button", { name: "Decline" }).click();
  await expect(other.getByText("Invitation declined.")).toBeVisible();
  await expect(invitations).toBeHidden();

  await invite(bob.email);
  await other.goto("/teams");
  await page.getByRole("row", { name: bob.email }).getByRole("button", { name: "Cancel invitation" }).click();
  await expect(page.getByText("Invitation cancelled.")).toBeVisible();
  await invitations.getByRole("button", { name: "Accept" }).click();
  await expect(other.getByText("This invitation is no longer open.")).toBeVisible();

  await invite(bob.email);
  await other.goto("/teams");
  await invitations.getByRole("button", { name: "Accept" }).click();
  await expect(other.getByText("You joined the team.")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("table", { name: "Members" }).getByRole("row", { name: bob.email })).toContainText("Member");
});
