// Glass to glass: from the moment a picture is made to the moment it is presented in Chromium, read from the pixels.
//
//   node glass.mjs [--seconds 60] [--latency LOW,NORMAL] [--measure picture,opening,stall,isolation] [--json FILE]
//     --binary FILE    the server; by default HEADWATER_BINARY, then target/release/headwater
//     --opens 10       how often the page is opened for the first picture
//     --blocked 1000   blocked playlist requests beside the viewer in "isolation"
//     --fps 30  --gop 2  --kbps 2500   of the encoder (1280x720)
//     --url URL --ingest RTMP_URL      another server: its playlist, and where the picture is published (both needed)
//     --player hls.js|headwater        what plays at --url; Headwater's own channel is played by its own page
//
// Camera, encoder, server and browser run on this machine and share its clock. Included: encoding (ffmpeg, x264 superfast, zerolatency),
// RTMP, packaging, playlist and part requests over loopback, hls.js, decoding, composition. Not included: a lens, a display, a network.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { Camera } from "./glass/camera.mjs";
import { isolation, opening, picture, stall } from "./glass/measure.mjs";
import { Headwater } from "./glass/server.mjs";
import * as tell from "./glass/tell.mjs";
import { browser, pageFor } from "./glass/viewer.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const MEASUREMENTS = ["picture", "opening", "stall", "isolation"];
/** The encoder's first picture to the first playable playlist. */
const LIVE_MS_MAX = 30_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    latency: { type: "string", default: "LOW,NORMAL" },
    measure: { type: "string", default: "picture,opening" },
    json: { type: "string" },
    binary: { type: "string", default: process.env.HEADWATER_BINARY ?? path.join(ROOT, "target/release/headwater") },
    chromium: { type: "string" },
    opens: { type: "string", default: "10" },
    blocked: { type: "string", default: "1000" },
    fps: { type: "string", default: "30" },
    gop: { type: "string", default: "2" },
    kbps: { type: "string", default: "2500" },
    url: { type: "string" },
    ingest: { type: "string" },
    player: { type: "string", default: "hls.js" },
  },
});
const number = (name) => {
  const value = Number(values[name]);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
};
const [seconds, opens, blocked, fps, gopSeconds, kbps] = ["seconds", "opens", "blocked", "fps", "gop", "kbps"].map(number);
const measurements = values.measure.split(",");
const unknown = measurements.find((name) => !MEASUREMENTS.includes(name));
if (unknown !== undefined) throw new Error(`--measure knows ${MEASUREMENTS.join(", ")}, not ${unknown}`);
if ((values.url === undefined) !== (values.ingest === undefined)) throw new Error("--url and --ingest go together");

const browserOptions = { chromium: values.chromium };
const results = { at: new Date().toISOString(), machine: tell.machine(), fps, gop_s: gopSeconds, kbps, seconds, channels: {} };

async function live(playback) {
  const deadline = Date.now() + LIVE_MS_MAX;
  for (;;) {
    const answer = await fetch(playback).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    if (Date.now() > deadline) throw new Error(`${playback} was not live in time`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** `place`: where the stream is published and played, and the port that a network may be put before. */
async function measure(name, { address, playback, ingest, webPort }) {
  const camera = new Camera(ingest, { fps, kbps, gopSeconds }).start();
  const chromium = await browser({ ...browserOptions, open: webPort === undefined });
  const found = (results.channels[name] = {});
  try {
    await live(playback);
    // A window's worth of stream, as a viewer in the middle of a broadcast finds it.
    await new Promise((resolve) => setTimeout(resolve, gopSeconds * 4000));
    if (measurements.includes("picture")) {
      found.picture = await picture(chromium, address, { seconds, fps, report: tell.progress(name, seconds) });
      tell.picture(name, found.picture);
    }
    if (measurements.includes("opening")) {
      found.opening = await opening(chromium, address, { times: opens, gopSeconds });
      tell.opening(name, found.opening);
    }
    if (measurements.includes("stall") && webPort !== undefined) {
      found.stall = await stall(browserOptions, address, webPort, { fps });
      tell.stall(name, found.stall);
    }
    if (measurements.includes("isolation")) {
      found.isolation = await isolation(chromium, address, playback, { seconds: Math.min(seconds, 60), fps, blocked });
      tell.isolation(name, found.isolation);
    }
    if (!camera.running) throw new Error(`the encoder ended: ${camera.trouble}`);
    found.encoder = { frames_left_out: camera.left };
    tell.encoder(name, found.encoder);
  } finally {
    await chromium.close();
    await camera.stop();
  }
}

if (values.url !== undefined) {
  const page = await pageFor(values.url, values.player);
  try {
    await measure(values.player, { address: page.address, playback: values.url, ingest: values.ingest });
  } finally {
    page.close();
  }
} else {
  if (!fs.existsSync(values.binary)) throw new Error(`there is no ${values.binary}: cargo build --release --package headwater`);
  const server = await new Headwater(values.binary).start();
  try {
    for (const latency of values.latency.split(",")) {
      const channel = await server.deploy(latency);
      await measure(latency, { ...channel, address: channel.site, webPort: server.webPort });
    }
  } finally {
    await server.stop();
  }
}
results.load_average = os.loadavg().map((value) => Number(value.toFixed(2)));
tell.close(results);
if (values.json) fs.writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
