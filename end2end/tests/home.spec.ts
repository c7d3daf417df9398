import { expect, test } from "../fixtures.ts";

test("the picture of the home page suits the screen and the colours", async ({ page }) => {
  const shown = async (name: string) => {
    const file = () => page.locator(".picture img").evaluate((image: HTMLImageElement) => image.currentSrc);
    await expect.poll(file).toMatch(new RegExp(`/profile${name}\\.webp$`));
  };
  for (const { width, screen } of [{ width: 1280, screen: "" }, { width: 375, screen: "-phone" }]) {
    await page.setViewportSize({ width, height: 720 });
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.goto("/");
      await shown(`${screen}-${colorScheme}`);
    }
    // The choice of the reader counts more than that of the system.
    await expect(page.locator("html[data-running]")).toBeAttached();
    for (const theme of ["Dark", "Light", "System"]) {
      await page.getByRole("button", { name: theme, exact: true }).click();
      await shown(`${screen}-${theme === "Dark" ? "dark" : "light"}`);
    }
  }
});
