/** Takes the pictures of the home page and the README, for `make screenshots`: the profile page with made-up keys. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { database, expect, keyfob, sql, test } from "../fixtures.ts";

const PASSWORD = "four words for tests";
const FOLDER = new URL("../../public/", import.meta.url);

test.skip(!process.env.KEYFOB_SCREENSHOTS, "make screenshots takes them");

test("pictures of the profile page", async ({ page }) => {
  const env = { ...process.env, DATABASE_URL: database };
  const run = (...args: string[]) => execFileSync(keyfob, args, { env, input: PASSWORD, encoding: "utf8" }).trim();
  const email = "ada@example.com";
  run("user", "create", "--email", email, "--name", "Ada Lovelace", "--password-stdin");
  const keys = [
    { name: "Old laptop", options: ["--expires-in", "2d"], perDay: 2, age: 88 },
    { name: "Nightly report", options: ["--expires-in", "90d", "--read-only"], perDay: 24, age: 31 },
    { name: "Payroll export", options: ["--expires-in", "90d", "--scope", "employees:read"], perDay: 96, age: 12 },
    { name: "Deploy", options: ["--no-expiry"], perDay: 7, age: 9 },
    { name: "Trying things out", options: ["--expires-in", "7d"], perDay: 0, age: 0 },
  ];
  const today = Math.floor(Date.now() / 86_400_000);
  for (const { name, options, perDay, age } of keys) {
    run("key", "create", "--user", email, "--name", name, ...options);
    const key = `(SELECT id FROM keys WHERE name = '${name}')`;
    sql(`UPDATE keys SET created_at = created_at - ${age * 86_400_000} WHERE id = ${key}`);
    for (let day = 0; perDay > 0 && day < Math.min(age, 30); day += 1) {
      const allowed = Math.round(perDay * (1 + 0.4 * Math.sin(day * 1.9) + 0.2 * Math.sin(day * 0.7)));
      const used = day === 0 ? `${Date.now() - perDay * 90_000}, '192.0.2.7', 'curl/8.7.1'` : "NULL, NULL, NULL";
      sql(`INSERT INTO usage (key_id, day, allowed, refused, used_at, used_ip, used_agent) VALUES (${key}, ${today - day}, ${allowed}, 0, ${used})`);
    }
  }
  await page.goto("/sign-in");
  await page.getByLabel("Email", { exact: true }).fill(email);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("table", { name: "API keys" })).toBeVisible();
  const chromium = await page.context().newCDPSession(page);
  // For a phone the first keys, without the navigation above them; twice the pixels, because phones show at least as many.
  const screens = [
    { name: "profile", width: 1280, height: 720, scale: 1, top: page.locator("body") },
    { name: "profile-phone", width: 375, height: 480, scale: 2, top: page.getByRole("region", { name: "API keys" }) },
  ];
  for (const { name, width, height, scale, top } of screens) {
    await page.setViewportSize({ width, height });
    const y = Math.max(0, ((await top.boundingBox())?.y ?? 0) - 16);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const clip = { x: 0, y, width, height, scale };
      const { data } = await chromium.send("Page.captureScreenshot", { format: "webp", quality: 80 / scale, clip, captureBeyondViewport: true });
      writeFileSync(new URL(`${name}-${colorScheme}.webp`, FOLDER), Buffer.from(data, "base64"));
    }
  }
});
