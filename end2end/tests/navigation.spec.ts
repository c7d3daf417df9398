import type { Page } from "@playwright/test";
import { expect, expectAccessible, signUp, test } from "../fixtures.ts";

/** A mark on the window that a new document would not have. */
const mark = (page: Page) => page.evaluate(() => Object.assign(window, { marked: true }));
const isSameDocument = (page: Page) => page.evaluate(() => "marked" in window);
const heading = (page: Page, name: string) => page.getByRole("heading", { name, exact: true, level: 1 });
const link = (page: Page, name: string) => page.getByRole("link", { name, exact: true });

/** Answers requests for the data of a page, and leaves documents alone. */
async function answerData(page: Page, path: string, answer: Parameters<Page["route"]>[1]): Promise<void> {
  await page.route(
    (url) => url.pathname === path,
    (route, request) => (request.resourceType() === "fetch" ? answer(route, request) : route.continue()),
  );
}

/** Holds requests for the data of a page back until the function that it returns is called. */
async function holdData(page: Page, path: string): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  await answerData(page, path, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

test("links change the page without a document", async ({ page }) => {
  await signUp(page);
  await mark(page);
  await link(page, "Employees").click();
  await expect(heading(page, "Employees")).toBeFocused();
  await expect(page).toHaveURL(/\/employees$/);
  await expect(page).toHaveTitle("Employees · Keyfob");
  await expect(page.locator("#page-announcer")).toHaveText("Employees · Keyfob");
  await expect(link(page, "Employees")).toHaveAttribute("aria-current", "page");
  await expectAccessible(page);
  await link(page, "Teams").click();
  await expect(heading(page, "Teams")).toBeFocused();
  await expectAccessible(page);
  await page.goBack();
  await expect(heading(page, "Employees")).toBeVisible();
  await expect(link(page, "Teams")).toBeFocused();
  await page.goBack();
  await expect(heading(page, "Profile")).toBeVisible();
  await expect(page).toHaveTitle("Profile · Keyfob");
  await page.goForward();
  await expect(heading(page, "Employees")).toBeVisible();
  expect(await isSameDocument(page)).toBe(true);
});

test("Back restores the scroll position, and a link begins at the top", async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 400 });
  await signUp(page);
  await page.evaluate(() => scrollTo(0, 300));
  await link(page, "Employees").click();
  await expect(heading(page, "Employees")).toBeVisible();
  await expect.poll(() => page.evaluate(() => scrollY)).toBe(0);
  await page.goBack();
  await expect(heading(page, "Profile")).toBeVisible();
  await expect.poll(() => page.evaluate(() => scrollY)).toBe(300);
});

test("a dialog has an address, Back closes it, and what was typed elsewhere stays", async ({ page }) => {
  await signUp(page);
  await mark(page);
  await page.getByLabel("Display name").fill("Ada");
  await page.getByRole("button", { name: "Create key" }).click();
  const dialog = page.getByRole("dialog", { name: "Create API key" });
  await expect(dialog).toBeVisible();
  await expect(page).toHaveURL(/\/profile\?create=$/);
  await page.goBack();
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("button", { name: "Create key" })).toBeFocused();
  await page.goForward();
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("button", { name: "Create key" })).toBeFocused();
  await expect(page.getByLabel("Display name")).toHaveValue("Ada");
  expect(await isSameDocument(page)).toBe(true);
});

test("Back asks before it leaves a key that was not copied", async ({ page }) => {
  await signUp(page);
  await link(page, "Employees").click();
  await link(page, "Profile").click();
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Uncopied");
  await page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Your new API key" });
  await expect(dialog).toBeVisible();
  await page.goBack();
  await expect(dialog.getByRole("alert")).toContainText("You haven't copied the key yet.");
  await expect(dialog.getByLabel("API key")).toHaveValue(/^kf_/);
});

test("the last click counts, whatever the order of the answers", async ({ page }) => {
  await signUp(page);
  const release = await holdData(page, "/teams");
  await link(page, "Teams").click();
  await expect(page.locator("html")).toHaveAttribute("data-pending", "");
  await link(page, "Employees").click();
  await expect(heading(page, "Employees")).toBeVisible();
  const answered = page.waitForResponse((response) => response.url().endsWith("/teams"));
  release();
  await answered;
  await expect(heading(page, "Employees")).toBeVisible();
  await expect(page.locator("html")).not.toHaveAttribute("data-pending");
  await expect(page).toHaveURL(/\/employees$/);
});

test("without a connection a sentence says so, and Try again goes on", async ({ page, context, expectedErrors }) => {
  expectedErrors.push(/ERR_INTERNET_DISCONNECTED/);
  await signUp(page);
  await mark(page);
  await page.getByLabel("Display name").fill("Ada");
  await context.setOffline(true);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "The server can't be reached." })).toBeVisible();
  await expect(page.getByLabel("Display name")).toHaveValue("Ada");
  await link(page, "Employees").click();
  await expect(page.getByRole("button", { name: "Try again" })).toBeVisible();
  await expectAccessible(page);
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(heading(page, "Employees")).toBeVisible();
  await expect(page.getByRole("button", { name: "Try again" })).toBeHidden();
  expect(await isSameDocument(page)).toBe(true);
});

test("a server of another version gets a document and forms as documents", async ({ page, expectedErrors }) => {
  expectedErrors.push(/409/);
  await signUp(page);
  await mark(page);
  await answerData(page, "/employees", (route) => route.fulfill({ status: 409 }));
  await link(page, "Employees").click();
  await expect(heading(page, "Employees")).toBeVisible();
  expect(await isSameDocument(page)).toBe(false);
  await page.goto("/profile");
  await page.route(/\/fn\/save_name$/, (route, request) =>
    request.resourceType() === "fetch" ? route.fulfill({ status: 409 }) : route.continue(),
  );
  await page.getByLabel("Display name").fill("Ada Lovelace");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Saved." })).toBeVisible();
  await expect(page.getByLabel("Display name")).toHaveValue("Ada Lovelace");
});

test("a page that was asked for before a form was sent hides no error of it", async ({ page, expectedErrors }) => {
  expectedErrors.push(/400/);
  await signUp(page);
  await mark(page);
  const release = await holdData(page, "/profile");
  await page.getByRole("button", { name: "Create key" }).click();
  const change = page.getByRole("region", { name: "Change email" });
  await change.getByLabel("New email address").fill("grace@example.com");
  await change.getByLabel("Your password").fill("not the password");
  await change.getByRole("button", { name: "Change email" }).click();
  const error = change.getByText("This is not your password.");
  await expect(error).toBeVisible();
  release();
  const dialog = page.getByRole("dialog", { name: "Create API key" });
  await expect(dialog).toBeVisible();
  await expect(error).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
  await expect(error).toBeHidden();
  expect(await isSameDocument(page)).toBe(true);
});

test("after the session ended a link leads to the sign-in page", async ({ page, context }) => {
  await signUp(page);
  await mark(page);
  await context.clearCookies();
  await link(page, "Employees").click();
  await expect(page).toHaveURL(/\/sign-in\?next=\/employees$/);
  expect(await isSameDocument(page)).toBe(false);
});

test("a page under the pointer is fetched before the click", async ({ page }) => {
  await signUp(page);
  const fetched = page.waitForResponse((response) => response.url().endsWith("/employees"));
  await link(page, "Employees").hover();
  await (await fetched).finished();
  let later = 0;
  // Chromium asks for the icon when the address changes.
  page.on("request", (request) => (later += request.url().endsWith("/favicon.svg") ? 0 : 1));
  await link(page, "Employees").click();
  await expect(heading(page, "Employees")).toBeVisible();
  expect(later).toBe(0);
});

test("a link that is opened in a new tab, a file and a part of a page are left to the browser", async ({ page, context }) => {
  await signUp(page);
  const opened = context.waitForEvent("page");
  await link(page, "Employees").click({ modifiers: ["ControlOrMeta"] });
  await expect(heading(await opened, "Employees")).toBeVisible();
  await expect(heading(page, "Profile")).toBeVisible();
});

test("300 navigations do not make the page's memory grow", async ({ page, context }) => {
  await signUp(page);
  const cdp = await context.newCDPSession(page);
  const toAndFro = async (times: number) => {
    for (let i = 0; i < times; i += 1) {
      await link(page, i % 2 === 0 ? "Employees" : "Profile").click();
      await expect(heading(page, i % 2 === 0 ? "Employees" : "Profile")).toBeVisible();
    }
    await cdp.send("HeapProfiler.collectGarbage");
    const { usedSize } = await cdp.send("Runtime.getHeapUsage");
    const { nodes, jsEventListeners } = await cdp.send("Memory.getDOMCounters");
    return { usedSize, nodes, jsEventListeners };
  };
  const warm = await toAndFro(100);
  const after = await toAndFro(200);
  console.log(`300 navigations: heap ${warm.usedSize} then ${after.usedSize} bytes, nodes ${warm.nodes} then ${after.nodes}`);
  expect(after.usedSize).toBeLessThan(warm.usedSize * 1.2);
  expect(after.nodes).toBeLessThan(warm.nodes * 1.2);
  expect(after.jsEventListeners).toBeLessThan(warm.jsEventListeners * 1.2 + 10);
});
