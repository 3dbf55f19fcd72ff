// A page as it is written for video.js with IVS' technology, with the script's address changed: real video.js, real controls.

import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";

const PATIENCE_MS = 30_000;
const FILES = { "/video.js": ["text/javascript", "video.js/dist/video.min.js"], "/video.css": ["text/css", "video.js/dist/video-js.min.css"] };
const resolve = createRequire(import.meta.url).resolve;

function page({ playerScript, playbackUrl }) {
  return `<!doctype html><title>video.js</title><link rel="stylesheet" href="/video.css"><video id="v" class="video-js" playsinline muted controls></video>
    <script src="/video.js"></script><script src="${playerScript}"></script><script>
      registerIVSTech(videojs);
      window.player = videojs("v", { techOrder: ["AmazonIVS"], width: 640, height: 360 }, function () {
        window.said = [];
        for (const name of ["play", "playing", "pause", "error", "volumechange"]) this.on(name, () => said.push(name));
        this.src(${JSON.stringify(playbackUrl)});
        this.play();
      });
    </script>`;
}

/** `browser` has a stream at `config.playbackUrl` that is live. */
export async function videoJs(browser, config, report) {
  const pages = http.createServer((request, response) => {
    const [type, file] = FILES[request.url] ?? [];
    if (file) response.writeHead(200, { "content-type": type }).end(fs.readFileSync(resolve(file)));
    else response.writeHead(200, { "content-type": "text/html" }).end(page(config));
  });
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
  const context = await browser.newContext();
  try {
    const tab = await context.newPage();
    const troubles = [];
    tab.on("pageerror", (error) => troubles.push(String(error)));
    const until = (probe) => tab.waitForFunction(probe, undefined, { timeout: PATIENCE_MS, polling: 50 }).then(() => true, () => false);
    await tab.goto(`http://127.0.0.1:${pages.address().port}/`);
    const plays = await until(() => window.player?.getIVSPlayer?.()?.getState() === "Playing" && player.currentTime() > 0 && player.videoWidth() > 0);
    report.check("video.js plays by IVS' technology", plays, JSON.stringify(await tab.evaluate(() => [window.player?.techName_, window.said])));
    if (!plays) return;
    const known = await tab.evaluate(() => ({
      live: String(player.duration()),
      shown: player.el().classList.contains("vjs-live"),
      rate: player.playbackRate(),
      source: player.currentSrc(),
      events: player.getIVSEvents().PlayerState === IVSPlayer.PlayerState,
      same: player.getIVSPlayer().getHTMLVideoElement() === player.el().querySelector("video"),
    }));
    report.check("it is told as live, with IVS' player behind it", known.live === "Infinity" && known.shown && known.rate === 1 && known.source === config.playbackUrl && known.events && known.same, JSON.stringify(known));
    await tab.click(".vjs-play-control");
    const paused = await until(() => player.paused() && player.getIVSPlayer().isPaused());
    await tab.click(".vjs-play-control");
    const again = await until(() => !player.paused() && player.getIVSPlayer().getState() === "Playing");
    await tab.click(".vjs-mute-control");
    const loud = await until(() => !player.muted() && !player.getIVSPlayer().isMuted());
    report.check("its buttons pause, play and turn the sound on", paused && again && loud, JSON.stringify([paused, again, loud]));
    await tab.evaluate(() => {
      window.gone = player.getIVSPlayer();
      player.src(player.currentSrc().replace(/channel\.[^.]+/, "channel.none"));
    });
    const failed = await until(() => player.error()?.code === 4 && said.includes("error"));
    report.check("a channel that is not there is video.js' own error", failed, JSON.stringify(await tab.evaluate(() => player.error()?.message)));
    await tab.evaluate(() => player.dispose());
    report.check("disposing of it leaves nothing behind", (await tab.evaluate(() => document.querySelector("video") === null)) && troubles.length === 0, troubles.join("; "));
  } finally {
    await context.close();
    pages.close();
    pages.closeAllConnections();
  }
}
