import { expect, test } from "../fixtures.ts";

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
