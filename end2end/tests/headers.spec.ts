import { expect, signUp, test } from "../fixtures.ts";

test("a script that somebody smuggles into a page does not run", async ({ page, expectedErrors }) => {
  expectedErrors.push(/Content Security Policy/, /404/);
  await page.goto("/sign-in");
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.smuggled = 'script'";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", `<img src="/nothing.png" onerror="window.smuggled = 'handler'">`);
    await new Promise((done) => setTimeout(done, 500));
    return Reflect.get(window, "smuggled");
  });
  expect(ran).toBeUndefined();
});

test("after signing out, Back shows nothing of the account", async ({ page }) => {
  const { email } = await signUp(page);
  await page.goto("/profile");
  await expect(page.getByText(email).first()).toBeVisible();
  await page.evaluate(() => localStorage.setItem("left", "behind"));
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await expect(page).toHaveURL(/:\d+\/$/);
  expect(await page.evaluate(() => localStorage.getItem("left"))).toBeNull();
  await page.goBack();
  await expect(page).toHaveURL(/\/sign-in\?next=\/profile$/);
  await expect(page.getByText(email)).toHaveCount(0);
});
