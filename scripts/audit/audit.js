// Scans the release binary from outside, with a browser and MDN's Observatory.
import { visit } from "./firefox.js";
import { scan } from "./observatory.js";
import { serve } from "./served.js";

let served;
let code = 0;
try {
  served = await serve();
  await scan(served);
  await visit(served);
} catch (error) {
  console.error(error.message);
  code = 1;
} finally {
  served?.stop();
}
process.exit(code);
