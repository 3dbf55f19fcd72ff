// The same page in Firefox, whose Media Source Extensions, decoders and clock are others than Chromium's: what a viewer there must see.
//
//   HEADWATER_BROWSER='{…}' node firefox.mjs     options as in run.mjs; "firefox" is the browser's path
//
// Prints a line for each assertion and "N passed, N failed"; ends with 1 when one failed.

import puppeteer from "puppeteer-core";
import { COLUMNS, FPS, watch } from "./picture.mjs";
import { Report } from "./report.mjs";
import { Server } from "./server.mjs";

const PATIENCE_MS = 30_000;
const CUT_MS = 5000;
/** What is measured as a viewer's delay on a machine that runs all tests at once; an idle one shows half. */
const DELAY_MAX_S = 3;

class Viewer {
  constructor(page, report) {
    Object.assign(this, { page, report });
  }

  /** The first truthy value of `probe` in the page; undefined after the patience is spent. */
  async until(probe, argument) {
    const handle = await this.page.waitForFunction(probe, { timeout: PATIENCE_MS, polling: 50 }, argument).catch(() => undefined);
    return handle?.jsonValue();
  }

  async badge(text) {
    return (await this.until((wanted) => document.getElementById("badge-text")?.textContent === wanted, text)) === true;
  }

  /** The numbers read from the painted pixels rise at the picture's rate. */
  async moves(when) {
    await this.page.evaluate(() => (window.picture.frames.length = 0));
    const numbers = await this.until((wanted) => window.picture.frames.length >= wanted && window.picture.frames.map(({ number, at }) => [at / 1000, number]), 2 * FPS);
    const known = (numbers ?? []).filter(([, number]) => number !== undefined && number !== null);
    const steps = known.slice(1).map(([at, number], index) => (number - known[index][1]) / (at - known[index][0])).sort((a, b) => a - b);
    const rate = steps[Math.floor(steps.length / 2)];
    this.report.check(`the painted pictures go on (${when})`, known.length > FPS && rate > FPS * 0.6 && rate < FPS * 1.6, `${known.length} numbers read, ${rate?.toFixed(1)} a second, last ${known.at(-1)?.[1]}`);
    return known.at(-1)?.[1];
  }
}

async function run(server, options, report) {
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: options.firefox, headless: true, extraPrefsFirefox: { "media.autoplay.default": 0 } });
  try {
    const page = await browser.newPage();
    const troubles = [];
    page.on("pageerror", (error) => troubles.push(String(error)));
    await page.evaluateOnNewDocument(watch, { columns: COLUMNS, fps: FPS });
    await page.goto(server.site);
    const viewer = new Viewer(page, report);
    report.check("before the broadcast the page says so", await viewer.badge("Offline"));

    await server.publish();
    report.check("the page becomes live by itself", await viewer.badge("Live"));
    const before = await viewer.moves("the broadcast began");
    const delay = await viewer.until((most) => {
      const seconds = Number(/^(\d+\.\d) s delay$/.exec(document.getElementById("latency").textContent)?.[1]);
      return seconds <= most && seconds;
    }, DELAY_MAX_S);
    report.check("with a short delay", delay !== undefined, `${delay} s`);

    const asked = { question: "Which way does the water go?", answers: ["Down", "Up"], poll_id: `poll-${Date.now()}` };
    await server.putMetadata(JSON.stringify(asked));
    report.check("a question that is put into the stream appears", (await viewer.until(() => !document.getElementById("poll").hidden && document.getElementById("poll-question").textContent)) === asked.question);
    await page.click(".answer:nth-child(1)");
    report.check("and is answered", (await viewer.until(() => /Your answer counts/.test(document.getElementById("poll-note").textContent))) === true);

    const loaded = await page.evaluate(() => [document.querySelector("video").src, window.picture.emptied]);
    await server.cut();
    report.check("when the publisher is lost the page says so", await viewer.badge("Reconnecting"));
    await new Promise((resolve) => setTimeout(resolve, CUT_MS));
    await server.publish();
    report.check("when it is back the page is live again", await viewer.badge("Live"));
    const after = await viewer.moves("the publisher came back");
    report.check("with the new publisher's pictures", after > before, `${before} → ${after}`);
    const now = await page.evaluate(() => [document.querySelector("video").src, window.picture.emptied]);
    report.check("and without loading the player anew", JSON.stringify(now) === JSON.stringify(loaded), JSON.stringify(now));

    await server.end();
    report.check("when the broadcast is finished the page says so", await viewer.badge("Ended"));
    report.check("nothing was refused by the page's security policy", (await page.evaluate(() => window.picture.violations.length)) === 0);
    report.check("no script of the page threw", troubles.length === 0, troubles.join("; "));
  } finally {
    await browser.close();
  }
}

const options = JSON.parse(process.env.HEADWATER_BROWSER);
const report = new Report();
const server = new Server(options);
try {
  await run(server, options, report);
} catch (error) {
  report.broke(error);
} finally {
  await server.close();
}
report.close();
process.exit(report.failed > 0 ? 1 : 0);
