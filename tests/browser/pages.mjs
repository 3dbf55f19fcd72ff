// What the tests of players on a page of their own share: the page's server, the encoder, what they wait for, and their way from begin to end.

import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./journey.mjs";
import { source } from "./picture.mjs";
import { Report } from "./report.mjs";

const PATIENCE_MS = 20_000;

const here = path.dirname(fileURLToPath(import.meta.url));
const FILES = {
  "/hls.js": ["text/javascript", createRequire(path.resolve(here, "../../web/package.json")).resolve("hls.js/dist/hls.min.js")],
  "/shaka.js": ["text/javascript", createRequire(import.meta.url).resolve("shaka-player/dist/shaka-player.compiled.js")],
  "/video.js": ["text/javascript", createRequire(import.meta.url).resolve("video.js/dist/video.min.js")],
  "/": ["text/html", path.join(here, "switching.html")],
};

/**
 * Runs `test` with what the environment's `variable` holds in JSON, a browser, the page's port and a report, which is printed and says how the
 * process ends.
 */
export async function inBrowser(variable, test) {
  const options = JSON.parse(process.env[variable] ?? "null");
  if (!options) {
    console.error(`nothing to test: set ${variable} (see the top of the script)`);
    process.exit(2);
  }
  const report = new Report();
  const server = await pages();
  const browser = await launch({});
  try {
    await test(options, browser, server.address().port, report);
  } catch (error) {
    report.broke(error);
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
  report.close();
  process.exit(report.failed > 0 ? 1 : 0);
}

/**
 * Plays on one channel after another until the claims about pace hold, which `plays(channel, timed)` pushes to its list: what a busy machine does
 * to a player's pace only ever adds. What a player must never do, it must not do in any of the tries.
 */
export async function inPace(channels, plays, report) {
  for (const [index, channel] of channels.entries()) {
    const timed = [];
    await plays(channel, timed);
    const missed = timed.filter(([, holds]) => !holds);
    if (missed.length === 0 || index === channels.length - 1) return timed.forEach((claim) => report.check(...claim));
    report.note(`try ${index + 1} of ${channels.length} was too slow: ${missed.map(([claim, , fact]) => `${claim} — ${fact}`).join("; ")}`);
  }
}

/** An encoder with the test picture, until it is cut off. */
export function publish(ingest, picture) {
  const ffmpeg = spawn("ffmpeg", [...source(picture), "-f", "flv", ingest], { stdio: ["ignore", "ignore", "pipe"] });
  ffmpeg.stderr.on("data", (text) => console.error(`ffmpeg: ${String(text).trim()}`));
  const gone = new Promise((resolve) => ffmpeg.once("exit", resolve));
  return { cut: () => (ffmpeg.kill("SIGKILL"), gone) };
}

/** Serves the page from an origin of its own, as somebody's website would. */
async function pages() {
  const server = http.createServer((request, response) => {
    const [type, file] = FILES[new URL(request.url, "http://page").pathname] ?? [];
    if (file) response.writeHead(200, { "content-type": type }).end(fs.readFileSync(file));
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

export async function until(tab, probe, argument) {
  return tab.waitForFunction(probe, argument, { timeout: PATIENCE_MS, polling: 50 }).then(() => true, () => false);
}

/** The source's playlist, first in the multivariant one, has so many segments. */
export async function hasSegments(playback, wanted) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const source = (await text(playback)).split("\n").find((line) => line && !line.startsWith("#"));
    const segments = source ? (await text(new URL(source, playback))).split("#EXTINF:").length - 1 : 0;
    if (segments >= wanted) return true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return false;
}

/** Node resolves no `*.localhost`: asks the loopback address in the channel's name. Empty while there is nothing. */
function text(url) {
  const { port, host, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port: port || 80, path: pathname + search, headers: { host } }, async (answer) => {
        let body = "";
        for await (const chunk of answer) body += chunk;
        resolve(answer.statusCode === 200 ? body : "");
      })
      .on("error", reject);
  });
}
