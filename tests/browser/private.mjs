// A viewer of a private channel in a real browser, with a token for one use: tests/test_private_browser.py starts this.
//
//   HEADWATER_PRIVATE='{"site": …, "token": …}' node private.mjs
//
// Prints one JSON document: what was seen, step by step.

import { launch } from "./journey.mjs";

const PATIENCE_MS = 40_000;
/** Longer than a player waits before it asks the server what became of the broadcast. */
const LOSS_MS = 9_000;
const { site, token } = JSON.parse(process.env.HEADWATER_PRIVATE);

/** Every request to the server, as this viewer's browser made it. */
class Viewer {
  masters = [];
  media = new Set();
  beacons = [];
  events = [];
  troubles = [];

  static async open(browser, address) {
    const viewer = new Viewer();
    viewer.context = await browser.newContext({ viewport: { width: 900, height: 600 } });
    viewer.page = await viewer.context.newPage();
    viewer.page.on("pageerror", (error) => viewer.troubles.push(String(error)));
    viewer.page.on("response", (response) => viewer.#saw(response));
    // The body of a beacon is not kept by the browser for whoever looks later.
    viewer.page.on("request", (request) => {
      if (new URL(request.url()).pathname.endsWith("/beacon")) viewer.beacons.push({ path: new URL(request.url()).pathname, text: request.postData() });
    });
    await viewer.page.goto(address);
    return viewer;
  }

  #saw(response) {
    const url = new URL(response.url());
    if (url.pathname.startsWith("/api/video/v1/")) {
      this.masters.push({ status: response.status(), token: url.searchParams.get("token") === token, session: url.searchParams.get("session") });
    }
    if (url.pathname.endsWith("/events")) this.events.push({ status: response.status(), session: url.searchParams.get("session") });
    const session = /^\/media\/v\/([^/]+)\//.exec(url.pathname)?.[1];
    if (session) this.media.add(session);
  }

  async phase(wanted) {
    await this.page.waitForFunction((phase) => document.getElementById("frame").dataset.phase === phase, wanted, { timeout: PATIENCE_MS });
  }

  /** The picture goes on by a second. */
  async moves() {
    await this.phase("live");
    const from = await this.page.evaluate(() => document.querySelector("video").currentTime);
    await this.page.waitForFunction((before) => document.querySelector("video").currentTime > before + 1, from, { timeout: PATIENCE_MS });
  }

  told() {
    const { masters, beacons, events, troubles } = this;
    return { masters, sessions: [...this.media], beacons, events, troubles, address: this.page.url() };
  }
}

const browser = await launch({});
try {
  const viewer = await Viewer.open(browser, `${site}?token=${token}`);
  await viewer.moves();
  const playing = structuredClone(viewer.told());
  await viewer.page.reload();
  await viewer.moves();
  const reloaded = structuredClone(viewer.told());
  // Every media request fails, as on a train; then the player asks what is broadcast and goes on.
  await viewer.page.route(/\/media\//, (route) => route.abort());
  await viewer.phase("reconnecting");
  await new Promise((resolve) => setTimeout(resolve, LOSS_MS));
  await viewer.page.unroute(/\/media\//);
  await viewer.moves();
  const recovered = structuredClone(viewer.told());
  await viewer.page.waitForTimeout(11_000);
  const measured = structuredClone(viewer.told());
  const other = await Viewer.open(browser, `${site}?token=${token}`);
  await other.phase("failed");
  const refused = { ...other.told(), words: await other.page.textContent("#message") };
  await other.context.close();
  console.log(JSON.stringify({ playing, reloaded, recovered, measured, refused }));
  // Until whoever started this has asked the server about this viewer.
  await new Promise((resolve) => process.stdin.once("data", resolve));
  await viewer.context.close();
} finally {
  await browser.close();
}
process.exit(0);
