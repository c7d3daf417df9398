import { expect, expectAccessible, signUp, test, waitForProgram } from "../fixtures.ts";

test("a team, its employees, and a key that reaches nothing else", async ({ page, browser, request, expectedErrors }) => {
  const ada = await signUp(page);
  const other = await (await browser.newContext()).newPage();
  const bob = await signUp(other);
  const slug = `red-${crypto.randomUUID().slice(0, 8)}`;

  await page.getByRole("link", { name: "Teams" }).click();
  await expect(page.getByText("You're not in a team yet.")).toBeVisible();
  await expectAccessible(page);
  await page.getByLabel("Name", { exact: true }).fill("Red team");
  await page.getByLabel("Address").fill(slug);
  await page.getByRole("button", { name: "Create team" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Red team" })).toBeVisible();
  await page.getByLabel("Email").fill(bob.email);
  await page.getByRole("button", { name: "Add member" }).click();
  await expect(page.getByText("No email is sent, so ask them to accept it on their Teams page.")).toBeVisible();
  const sent = page.getByRole("table", { name: "Invitations" });
  await expect(sent.getByRole("row", { name: bob.email })).toContainText("Member");
  await expect(page.getByRole("table", { name: "Members" })).not.toContainText(bob.email);
  await expectAccessible(page);

  await other.getByRole("link", { name: "Teams" }).click();
  const invitation = other.getByRole("table", { name: "Invitations" }).getByRole("row", { name: "Red team" });
  await expect(invitation).toContainText(ada.email);
  await expectAccessible(other);
  await invitation.getByRole("button", { name: "Accept" }).click();
  await expect(other.getByRole("heading", { level: 1, name: "Red team" })).toBeVisible();
  await expect(other.getByText("You joined the team.")).toBeVisible();

  await page.goto(`/a/${slug}`);
  await expect(sent).toBeHidden();
  const members = page.getByRole("table", { name: "Members" });
  await expect(members.getByRole("row", { name: bob.email })).toContainText("Member");
  await expect(members.getByRole("row", { name: ada.email })).toContainText("Admin");
  await expectAccessible(page);

  await page.getByRole("link", { name: "View employees" }).click();
  await page.getByRole("button", { name: "Load sample employees" }).click();
  await expect(page.getByRole("table", { name: "Employees" })).toContainText("Ada Lovelace");

  await other.goto("/profile");
  await waitForProgram(other);
  await other.getByRole("button", { name: "Create key" }).click();
  const form = other.getByRole("dialog", { name: "Create API key" });
  await form.getByLabel("Name").fill("Team export");
  await form.getByLabel("Access").selectOption("Only these");
  await form.getByLabel("employees:read").check();
  await form.getByLabel("Team").selectOption("Red team");
  await expectAccessible(other);
  await form.getByRole("button", { name: "Create", exact: true }).click();
  const key = await other.getByRole("dialog", { name: "Your new API key" }).getByLabel("API key").inputValue();
  await other.getByRole("button", { name: "Done" }).click();
  await expect(other.getByRole("table", { name: "API keys" })).toContainText("employees:read");

  const headers = { Authorization: `Api-Key ${key}` };
  const team = await request.get(`/a/${slug}/employees/api/employees/`, { headers });
  expect(await team.json()).toMatchObject({ count: 12 });
  const own = await request.get("/pegasus/employees/api/employees/", { headers });
  expect(await own.json()).toMatchObject({ status: 403, code: "team_mismatch" });
  const write = await request.post(`/a/${slug}/employees/api/employees/`, { headers, data: {} });
  expect(await write.json()).toMatchObject({ status: 403, code: "scope_missing" });

  await other.goto(`/a/${slug}`);
  await other.getByRole("button", { name: "Leave this team" }).click();
  await other.getByRole("alertdialog").getByRole("button", { name: "Leave team" }).click();
  await expect(other.getByText("You left the team.")).toBeVisible();
  expect((await request.get(`/a/${slug}/employees/api/employees/`, { headers })).status()).toBe(401);
  expectedErrors.push(/404/);
  expect((await other.goto(`/a/${slug}`))?.status()).toBe(404);

  await page.goto(`/a/${slug}`);
  await page.getByRole("button", { name: "Leave this team" }).click();
  expectedErrors.push(/400/);
  await page.getByRole("alertdialog").getByRole("button", { name: "Leave team" }).click();
  await expect(page.getByText("this is the last")).toBeVisible();
  expect(await (await request.get("/api/v1/key", { headers })).json()).toMatchObject({ code: "key_revoked" });
  await page.goto("/profile");
  await waitForProgram(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const again = page.getByRole("dialog", { name: "Create API key" });
  await again.getByLabel("Name").fill("Team import");
  await again.getByLabel("Team").selectOption("Red team");
  await again.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await page.goto(`/a/${slug}`);
  await page.getByRole("table", { name: "API keys" }).getByRole("link", { name: "Revoke" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Revoke key" }).click();
  await expect(page.getByText("Key revoked.")).toBeVisible();
});

test("invitations on a window of 320 pixels", async ({ page, browser }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  await signUp(page);
  const other = await (await browser.newContext({ viewport: { width: 320, height: 640 } })).newPage();
  const bob = await signUp(other);
  await page.goto("/teams");
  await page.getByLabel("Name", { exact: true }).fill("A team with a rather long name, as some teams have one");
  await page.getByLabel("Address").fill(`red-${crypto.randomUUID()}`);
  await page.getByRole("button", { name: "Create team" }).click();
  await page.getByLabel("Email").fill(bob.email);
  await page.getByRole("button", { name: "Add member" }).click();
  await expect(page.getByRole("button", { name: "Cancel invitation" })).toBeVisible();
  await other.goto("/teams");
  await expect(other.getByRole("button", { name: "Decline" })).toBeVisible();
  for (const one of [page, other]) {
    await waitForProgram(one);
    expect(await one.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
    await expectAccessible(one);
  }
});
