// The player against a server that misbehaves: after each fault the picture moves again, by itself.

import { COLUMNS, FPS, watch } from "./picture.mjs";
import { StandIn } from "./stand-in.mjs";
import { launch } from "./journey.mjs";

/** What goes wrong, with which file, how often in a row. */
const FAULTS = [
  { what: "a part is missing", file: /^s\d+\.p\d+\.m4s$/, fault: "gone", times: 1 },
  { what: "a part's connection is cut", file: /^s\d+\.p\d+\.m4s$/, fault: "cut", times: 1 },
  { what: "parts fail for a while", file: /\.m4s$/, fault: "failing", times: 6 },
  { what: "a part is garbage", file: /^s\d+\.p\d+\.m4s$/, fault: "garbage", times: 1 },
  { what: "parts are garbage for a while", file: /\.m4s$/, fault: "garbage", times: 3 },
  { what: "parts are damaged", file: /\.m4s$/, fault: "damaged", times: 3 },
  { what: "a playlist request is refused", file: /^media\.m3u8$/, fault: "failing", times: 1 },
  { what: "playlist requests are cut", file: /^media\.m3u8$/, fault: "cut", times: 3 },
  { what: "a part is never answered", file: /^s\d+\.p\d+\.m4s$/, fault: "silent", times: 1 },
];
/** The longest is the part that is never answered: the player gives up on it after 12 s. */
const PATIENCE_MS = 40_000;

export async function faults(options, report) {
  const server = new StandIn();
  await server.listen();
  server.publish();
  const browser = await launch(options);
  try {
    const page = await browser.newPage();
    await page.addInitScript(watch, { columns: COLUMNS, fps: FPS });
    await page.goto(server.site);
    for (const { what, file, fault, times } of FAULTS) {
      // Frames of the last second at the picture's rate, near the newest one that was made.
      await page.waitForFunction(
        () => window.picture.frames.filter((frame) => frame.at > performance.timeOrigin + performance.now() - 1000).length > 15,
        undefined,
        { timeout: PATIENCE_MS },
      );
      let left = times;
      server.fault = (name) => (left > 0 && file.test(name) ? ((left -= 1), fault) : undefined);
      await until(() => left === 0);
      server.fault = () => undefined;
      const begun = Date.now();
      const before = await page.evaluate(() => window.picture.frames.filter((frame) => frame.number !== undefined).at(-1).number);
      // Half a second of pictures that were made after the fault.
      const back = await page
        .waitForFunction(
          (than) => window.picture.frames.slice(-15).every((frame) => frame.number > than + 30) && document.getElementById("badge-text").textContent === "Live",
          before,
          { timeout: PATIENCE_MS, polling: 50 },
        )
        .then(() => true, () => false);
      const words = await page.evaluate(() => document.getElementById("badge-text").textContent);
      report.check(`pictures move again after ${what}${times > 1 ? ` (${times} times)` : ""}`, back, `${Date.now() - begun} ms, ${words}`);
    }
  } finally {
    await browser.close();
    await server.close();
  }
}

async function until(holds) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error("the fault was not met");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
