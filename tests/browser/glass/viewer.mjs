// A viewer in Chromium whose every presented frame is noted.

import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../journey.mjs";
import { COLUMNS, check, read } from "./clock.mjs";
import { script } from "./watch.mjs";

/** Notes are fetched this often, so that the page does not grow over a long measurement. */
const TAKE_MS = 2000;
const FIRST_PICTURE_MS_MAX = 60_000;
const WEB = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../web");

/** `through`: a port on loopback that all of the browser's connections go to, whatever they ask for. */
export async function browser({ chromium, through, open = false }) {
  const args = [];
  if (through !== undefined) args.push(`--host-resolver-rules=MAP * 127.0.0.1:${through}`);
  // Other servers' playlists are played from a page of ours, whether they allow it or not.
  if (open) args.push("--disable-web-security");
  return launch({ chromium, args });
}

export class Viewer {
  #page;
  #notes = { frames: [], events: [], first: undefined, dropped: 0, presented: 0 };

  /** A new profile, so nothing is cached; resolves at the first presented frame. */
  static async open(browser, address) {
    const viewer = new Viewer();
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = (viewer.#page = await context.newPage());
    await page.addInitScript(script(COLUMNS, read, check));
    await page.goto(address, { waitUntil: "commit" });
    await page.waitForFunction(() => window.glass?.first !== undefined, undefined, { timeout: FIRST_PICTURE_MS_MAX, polling: 100 });
    await viewer.take();
    return viewer;
  }

  get page() {
    return this.#page;
  }

  /** Milliseconds from the start of the navigation to the first presented frame. */
  get firstPictureMs() {
    return this.#notes.first;
  }

  /** Everything noted so far, and once more from now on if `anew`. */
  async take({ anew = false } = {}) {
    const { frames, events, ...rest } = await this.#page.evaluate(() => window.glass.take());
    const notes = this.#notes;
    // One by one: a spread of thousands of arguments is too many for a call.
    for (const frame of frames) notes.frames.push(frame);
    for (const event of events) notes.events.push(event);
    Object.assign(notes, rest);
    if (anew) this.#notes = { ...rest, frames: [], events: [] };
    return notes;
  }

  /** Watches for so long; `goOn` sees the notes from time to time and may end it by answering `false`. */
  async watch(seconds, goOn = () => true) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      await this.#page.waitForTimeout(Math.max(0, Math.min(TAKE_MS, end - Date.now())));
      const notes = await this.take();
      if (Date.now() >= end || goOn(notes) === false) return notes;
    }
  }

  async close() {
    await this.#page.context().close();
  }
}

/** A page that plays any playlist: with hls.js as it comes, in its low-latency mode, or with Headwater's player script. */
export async function pageFor(playlist, player) {
  const file =
    player === "headwater" ? path.join(WEB, "dist/player/v1/headwater-player.js") : createRequire(path.join(WEB, "package.json")).resolve("hls.js/dist/hls.min.js");
  const url = JSON.stringify(playlist).replaceAll("<", "\\u003c");
  const start =
    player === "headwater"
      ? `const p = HeadwaterPlayer.create({ watch: true }); p.attachHTMLVideoElement(video); p.setMuted(true); p.play(); p.load(${url});`
      : `const h = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1 }); h.loadSource(${url}); h.attachMedia(video); h.on(Hls.Events.MANIFEST_PARSED, () => video.play());
         h.on(Hls.Events.ERROR, (_, { fatal, type }) => fatal && (type === Hls.ErrorTypes.MEDIA_ERROR ? h.recoverMediaError() : setTimeout(() => h.loadSource(${url}), 500)));`;
  const html = `<!doctype html><title>glass</title><video id="video" playsinline muted width="1280" height="720"></video><script src="/player.js"></script><script>const video = document.getElementById("video"); ${start}</script>`;
  const server = http.createServer((request, response) => {
    if (request.url === "/player.js") response.writeHead(200, { "content-type": "text/javascript" }).end(fs.readFileSync(file));
    else response.writeHead(200, { "content-type": "text/html" }).end(html);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { address: `http://127.0.0.1:${server.address().port}/`, close };
}
