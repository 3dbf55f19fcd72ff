// What the tests of players on a page of their own share: the page's server, and what they wait for.

import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PATIENCE_MS = 20_000;

const here = path.dirname(fileURLToPath(import.meta.url));
const FILES = {
  "/hls.js": ["text/javascript", createRequire(path.resolve(here, "../../web/package.json")).resolve("hls.js/dist/hls.min.js")],
  "/shaka.js": ["text/javascript", createRequire(import.meta.url).resolve("shaka-player/dist/shaka-player.compiled.js")],
  "/video.js": ["text/javascript", createRequire(import.meta.url).resolve("video.js/dist/video.min.js")],
  "/": ["text/html", path.join(here, "switching.html")],
};

/** Serves the page from an origin of its own, as somebody's website would. */
export async function pages() {
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
