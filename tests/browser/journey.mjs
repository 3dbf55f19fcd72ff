// One viewer's evening, and a second viewer's, with what each of them must see.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { COLUMNS, FPS, watch } from "./picture.mjs";
import { videoJs } from "./videojs.mjs";

const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--mute-audio",
  "--autoplay-policy=no-user-gesture-required",
];
/** The question's distance from its media time, and media time's distance from the painted picture. */
const SYNC_S = 0.15;
/** Machines that run all tests at once are slow; what must be fast is measured, not waited for. */
const PATIENCE_MS = 30_000;
/** A blink, and longer than a server holds a playlist request back (three target durations). */
const CUTS_MS = [5000, 14_000];

export function launch(options) {
  return chromium.launch({
    executablePath: options.chromium ?? process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    ignoreDefaultArgs: ["--headless"],
    args: [...FLAGS, ...(options.args ?? [])],
  });
}

export async function run(server, options, report) {
  const browser = await launch(options);
  const journey = new Journey(browser, server, options, report);
  try {
    await journey.all();
  } finally {
    await browser.close();
  }
}

class Journey {
  constructor(browser, server, options, report) {
    Object.assign(this, { browser, server, options, report });
    this.troubles = [];
  }

  async all() {
    this.config = await (await fetchFrom(this.server.site, "config.json")).json();
    this.page = await this.viewer({ colorScheme: "dark" });
    await this.offline();
    await this.begins();
    await this.keyboard();
    await this.question();
    for (const lasting of CUTS_MS) await this.loss(lasting);
    await this.pageForIvs();
    await videoJs(this.browser, this.config, this.report);
    await this.ends();
    await this.beginsAgain();
    if (this.server.canRestart) await this.serverRestarts();
    this.report.check("nothing was refused by the page's security policy", (await this.seen("violations")).length === 0, String(await this.seen("violations")));
    this.report.check("no script of the page threw", this.troubles.length === 0, this.troubles.join("; "));
  }

  async viewer(context = {}) {
    const page = await (await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...context })).newPage();
    await page.addInitScript(watch, { columns: COLUMNS, fps: FPS });
    page.on("pageerror", (error) => this.troubles.push(String(error)));
    await page.goto(this.server.site);
    return page;
  }

  async offline() {
    const { report, page } = this;
    report.check("before the broadcast the page says that it has not started", await this.badge("Offline"), await this.words());
    report.check("and what happens next", /has not started/.test(await this.words()), await this.words());
    report.check("the state is read out", /has not started/.test(await page.textContent("#status")));
    await this.accessible("offline");
    await this.shot("offline");
    const light = await this.viewer({ colorScheme: "light", viewport: { width: 390, height: 800 } });
    await this.badge("Offline", light);
    await this.shot("offline-phone-light", light);
    await light.context().close();
  }

  async begins() {
    const { report, page, server } = this;
    const published = Date.now();
    await server.publish();
    report.check("the page becomes live by itself", await this.badge("Live"), `${Date.now() - published} ms after the publisher started`);
    await this.moves("the broadcast began");
    report.check("nothing lies over the picture", await page.isHidden("#message"));
    const delay = await this.until(page, () => /^\d+\.\d s delay$/.exec(document.getElementById("latency").textContent)?.[0]);
    report.check("the delay is shown", delay !== undefined, delay);
    report.check("the quality is shown", /540p/.test(await page.evaluate(() => `${document.getElementById("quality-one").textContent} ${document.getElementById("quality").textContent}`)));
    report.check("the sound can be turned on", await page.isVisible("#unmute"));
    await this.accessible("live");
    await this.shot("live");
    const opened = Date.now();
    const second = await this.viewer();
    await this.until(second, () => window.picture?.frames.length > 0);
    report.check("a viewer who comes later sees the picture", (await second.evaluate(() => window.picture.frames.length)) > 0, `first picture ${Date.now() - opened} ms after opening the page`);
    this.second = second;
  }

  async keyboard() {
    const { report, page } = this;
    await page.keyboard.press("m");
    report.check("M turns the sound on", await page.evaluate(() => !document.querySelector("video").muted && document.getElementById("unmute").hidden));
    await page.keyboard.press("m");
    await page.keyboard.press("k");
    const says = await this.until(page, () => document.querySelector("video").paused && document.querySelector("#play[aria-label=Play]") !== null);
    report.check("K pauses, and the button says Play", says === true);
    await page.keyboard.press("l");
    report.check("L goes on at the live edge", (await this.until(page, () => !document.querySelector("video").paused)) === true);
    await page.keyboard.press("f");
    report.check("F fills the screen", (await this.until(page, () => document.fullscreenElement?.id === "stage")) === true);
    await page.keyboard.press("f");
    await this.until(page, () => document.fullscreenElement === null);
    await this.badge("Live");
  }

  async question() {
    const { report, page, second, server } = this;
    // The picture's clock against the media clock, from what was painted: the same for every frame of one publisher.
    const asked = { question: "Where does this river begin? <b>", answers: ["In the hills", "At the sea", "Nobody knows"], poll_id: `poll-${Date.now()}` };
    await page.evaluate(() => (window.picture.shown.length = 0));
    const put = Date.now();
    await server.putMetadata(JSON.stringify(asked));
    const shown = await this.until(page, () => window.picture.shown.find((one) => !Number.isNaN(one.cueTime)));
    report.check("the question appears above the video", shown !== undefined, shown && `${Date.now() - put} ms after it was put`);
    if (!shown) return;
    report.check("as text, never as markup", shown.question === asked.question, shown.question);
    const late = shown.currentTime - shown.cueTime;
    report.check("put into the page at its media time", Math.abs(late) <= SYNC_S, `${Math.round(late * 1000)} ms after it`);
    const frames = (await this.seen("frames")).filter((frame) => frame.number !== undefined);
    const offset = median(frames.slice(-90).map((frame) => frame.number / FPS - frame.mediaTime));
    const pictured = shown.number === undefined ? Number.NaN : shown.number / FPS - offset - shown.cueTime;
    report.check("and painted in step with the picture", Math.abs(pictured) <= SYNC_S, `the picture on the screen was ${Math.round(pictured * 1000)} ms after the cue`);
    const above = await page.evaluate(() => document.getElementById("poll").getBoundingClientRect().bottom <= document.getElementById("frame").getBoundingClientRect().top + 1);
    report.check("the question stands above the picture and does not cover it", above);
    await this.accessible("question");
    await this.shot("question");

    const total = async () => (await (await fetch(`${this.config.interactUrl}/channels/${this.config.channelId}/poll`)).json()).poll;
    report.check("the server knows the question", (await total())?.question === asked.question);
    await page.click(".answer:nth-child(2)");
    const stored = await this.until(page, () => /Your answer counts/.test(document.getElementById("poll-note").textContent));
    report.check("a click is acknowledged", stored === true, await page.textContent("#poll-note"));
    report.check("and counted", JSON.stringify((await total())?.tally) === "[0,1,0]", JSON.stringify((await total())?.tally));

    report.check("the other viewer sees the tally change", (await this.until(second, () => /1 answer$/.test(document.getElementById("poll-note").textContent))) === true, await second.textContent("#poll-note"));
    await second.click(".answer:nth-child(1)");
    report.check("and the first one the other's answer", (await this.until(page, () => /2 answers$/.test(document.getElementById("poll-note").textContent))) === true, await page.textContent("#poll-note"));
    await this.shot("answered");
    const late2 = await this.viewer();
    report.check("who joins late gets the open question", (await this.until(late2, () => !document.getElementById("poll").hidden && document.getElementById("poll-question").textContent)) === asked.question);
    await late2.context().close();

    await second.reload();
    const pressed = await this.until(second, () => document.querySelector(".answer[aria-pressed=true] .text")?.textContent);
    report.check("after a reload the page remembers the answer", pressed === asked.answers[0], pressed);
    report.check("which counts once", (await total())?.total === 2, JSON.stringify((await total())?.tally));
    await second.context().close();
  }

  async loss(lastingMs) {
    const { report, page, server } = this;
    const before = (await this.seen("frames")).at(-1);
    const loaded = await page.evaluate(() => [document.querySelector("video").src, window.picture.emptied]);
    await server.cut();
    const cut = Date.now();
    report.check("when the publisher is lost the page says so", await this.badge("Reconnecting"), `${Date.now() - cut} ms after the cut`);
    await this.shot("reconnecting");
    await page.waitForTimeout(Math.max(0, lastingMs - (Date.now() - cut)));
    await server.publish();
    const back = Date.now();
    report.check(`when it is back after ${lastingMs / 1000} s the page is live again`, await this.badge("Live"), `${Date.now() - back} ms after the publisher started`);
    await this.moves("the publisher came back");
    const after = (await this.seen("frames")).at(-1);
    report.check("with the new publisher's pictures", after.number > before.number, `frame ${before.number} → ${after.number}`);
    const now = await page.evaluate(() => [document.querySelector("video").src, window.picture.emptied]);
    report.check("and without loading the player anew", JSON.stringify(now) === JSON.stringify(loaded), JSON.stringify(now));
  }

  /** A page as it is written for IVS' web player, with the script's address changed, on an origin of its own. */
  async pageForIvs() {
    const { report } = this;
    const page = await (await this.browser.newContext()).newPage();
    const html = `<!doctype html><title>page</title><video id="v" playsinline muted></video><script src="${this.config.playerScript}"></script><script>
      window.said = { states: [], cues: [], errors: [] };
      if (IVSPlayer.isPlayerSupported) {
        const player = window.player = IVSPlayer.create();
        player.attachHTMLVideoElement(document.getElementById("v"));
        for (const state of Object.values(IVSPlayer.PlayerState)) player.addEventListener(state, () => said.states.push(state));
        player.addEventListener(IVSPlayer.PlayerEventType.TEXT_METADATA_CUE, (cue) => said.cues.push({ ...cue, at: player.getPosition() }));
        player.addEventListener(IVSPlayer.PlayerEventType.ERROR, (error) => said.errors.push(error));
        player.load(${JSON.stringify(this.config.playbackUrl)});
        player.play();
      }</script>`;
    const pages = http.createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(html));
    await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
    try {
      await page.goto(`http://127.0.0.1:${pages.address().port}/`);
      report.check("a page for IVS' player plays", (await this.until(page, () => window.player?.getState() === "Playing")) === true, JSON.stringify(await page.evaluate(() => [window.said?.states, window.said?.errors])));
      const known = await page.evaluate(() => {
        const p = window.player;
        return { position: p.getPosition(), latency: p.getLiveLatency(), duration: String(p.getDuration()), qualities: p.getQualities().length, version: IVSPlayer.getVersion(), same: IVSPlayer === HeadwaterPlayer, low: p.isLiveLowLatency() };
      });
      report.check("it hears its state, position, latency and qualities", known.position > 0 && known.latency > 0 && known.duration === "Infinity" && known.qualities > 0 && known.same && known.low, JSON.stringify(known));
      const text = `{"plain":${Date.now()}}`;
      await this.server.putMetadata(text);
      const cue = await this.until(page, () => window.said.cues[0]);
      await page.waitForTimeout(1500);
      const cues = await page.evaluate(() => window.said.cues);
      report.check("a cue comes once, as TextMetadataCue", cues.length === 1 && cue?.text === text && cue.type === "TextMetadataCue" && cue.owner === "metadata.live-video.net" && cue.description === "", JSON.stringify(cues));
      report.check("at its time", cue !== undefined && Math.abs(cue.at - cue.startTime) <= SYNC_S, cue && `${Math.round((cue.at - cue.startTime) * 1000)} ms after it`);
      report.check("no error was told", (await page.evaluate(() => window.said.errors.length)) === 0);
      this.ivsPage = page;
    } finally {
      pages.close();
      pages.closeAllConnections();
    }
  }

  async ends() {
    const { report, page, server } = this;
    await server.end();
    const ended = Date.now();
    report.check("when the broadcast is finished the page says so", await this.badge("Ended"), `${Date.now() - ended} ms after the end; ${await this.words()}`);
    const heard = await this.until(this.ivsPage, () => window.said.states.includes("Ended"));
    report.check("and the page for IVS' player hears Ended", heard === true, JSON.stringify(await this.ivsPage.evaluate(() => [window.said.states, window.said.errors])));
    await this.ivsPage.context().close();
    await this.accessible("ended");
    await this.shot("ended");
  }

  async beginsAgain() {
    const { report, server } = this;
    await server.publish();
    const published = Date.now();
    report.check("the next broadcast begins on the same page", await this.badge("Live"), `${Date.now() - published} ms after the publisher started`);
    await this.moves("the next broadcast began");
  }

  async serverRestarts() {
    const { report, server } = this;
    await server.restart();
    await server.publish();
    const back = Date.now();
    await this.page.waitForTimeout(1000);
    report.check("the page is live again after the server was restarted", await this.badge("Live"), `${Date.now() - back} ms after the publisher started`);
    await this.moves("the server came back");
  }

  /** The badge in words; false after the patience is spent. */
  async badge(text, page = this.page) {
    return (await this.until(page, (wanted) => document.getElementById("badge-text")?.textContent === wanted, text)) === true;
  }

  async words(page = this.page) {
    return page.evaluate(() => ["badge-text", "message-title", "message-hint"].map((id) => document.getElementById(id).textContent).filter(Boolean).join(" / "));
  }

  /** Painted and moving: the numbers read from the pixels rise at the picture's rate, and the pictures differ. */
  async moves(when) {
    const { report, page } = this;
    const found = await page.evaluate(async () => {
      const video = document.querySelector("video");
      const canvas = document.createElement("canvas");
      canvas.width = 160;
      canvas.height = 90;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      const hashes = new Set();
      let spread = 0;
      const numbers = [];
      const started = performance.now();
      while (performance.now() - started < 2000) {
        context.drawImage(video, 0, 0, 160, 90);
        const { data } = context.getImageData(0, 0, 160, 90);
        let hash = 0;
        let least = 255;
        let most = 0;
        for (let i = 0; i < data.length; i += 4) {
          hash = (hash * 31 + data[i]) | 0;
          least = Math.min(least, data[i]);
          most = Math.max(most, data[i]);
        }
        hashes.add(hash);
        spread = Math.max(spread, most - least);
        const number = window.picture.read();
        if (number !== undefined) numbers.push([performance.now() / 1000, number]);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return { pictures: hashes.size, spread, numbers, seconds: (performance.now() - started) / 1000 };
    });
    // The middle one of the steps: a jump to the live edge may be among them.
    const { numbers } = found;
    const rate = median(numbers.slice(1).map(([at, number], index) => (number - numbers[index][1]) / (at - numbers[index][0])));
    report.check(`pixels are painted and move (${when})`, found.pictures >= 8 && found.spread > 100, `${found.pictures} different pictures in ${found.seconds.toFixed(1)} s`);
    report.check("the picture's clock runs at the picture's rate", numbers.length > 5 && rate > FPS * 0.7 && rate < FPS * 1.4, `${rate?.toFixed(1)} frames a second, frame ${numbers.at(-1)?.[1]}`);
  }

  /** Serious findings of axe-core; colours in the picture's place are not judged over a video. */
  async accessible(state) {
    const script = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
    // Through the protocol, not as an element: the page's policy forbids foreign scripts.
    await this.page.evaluate(fs.readFileSync(script, "utf8"));
    const found = await this.page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    });
    this.report.check(`nothing stands in the way of a screen reader or the keyboard (${state})`, found.length === 0, found.join("; "));
  }

  async seen(what) {
    return this.page.evaluate((name) => window.picture[name], what);
  }

  async shot(state, page = this.page) {
    const folder = this.options.screenshots;
    if (!folder) return;
    fs.mkdirSync(folder, { recursive: true });
    // Past the transitions, which take up to half a second.
    await page.waitForTimeout(600);
    await page.screenshot({ path: path.join(folder, `${state}.png`) });
  }

  /** The first truthy value of `probe` in the page; undefined after the patience is spent. */
  async until(page, probe, argument) {
    try {
      const handle = await page.waitForFunction(probe, argument, { timeout: PATIENCE_MS, polling: 50 });
      return await handle.jsonValue();
    } catch (error) {
      if (error.name === "TimeoutError") return undefined;
      throw error;
    }
  }
}

/** Node resolves no `*.localhost`: asks the loopback address in the site's name. */
function fetchFrom(site, file) {
  const url = new URL(file, site);
  return new Promise((resolve, reject) => {
    const host = url.hostname.endsWith(".localhost") ? "127.0.0.1" : url.hostname;
    http
      .get({ host, port: url.port || 80, path: url.pathname, headers: { host: url.host } }, async (response) => {
        let body = "";
        for await (const chunk of response) body += chunk;
        if (response.statusCode === 200) resolve({ json: () => JSON.parse(body) });
        else reject(new Error(`${url} was answered ${response.statusCode}`));
      })
      .on("error", reject);
  });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
