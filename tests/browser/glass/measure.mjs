// The measurements, each on a stream that is being broadcast: glass to glass, opening the page, a network that stands still, other viewers.

import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { since } from "./clock.mjs";
import { figures, percentile, round } from "./figures.mjs";
import { Network } from "./network.mjs";
import { Viewer, browser } from "./viewer.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
/** From the first picture on, before latency counts: the player takes its distance in this time. Stalls count from the first picture. */
export const SETTLE_S = 5;
/** How long the network stands still, and how long its viewer is watched before and, at most, after it. */
const STILL_MS = 2000;
const BEFORE_STILL_S = 5;
const AFTER_STILL_S = 40;
/** Latency is back when the median of so many seconds of frames is at most this above the median before. */
const BACK_WINDOW_S = 1;
const BACK_MS = 200;
const LOAD_READY_MS_MAX = 30_000;

/** One viewer for so many seconds. */
export async function picture(chromium, address, { seconds, fps, report = () => {} }) {
  const viewer = await Viewer.open(chromium, address);
  try {
    const begun = Date.now();
    const notes = await viewer.watch(seconds, ({ frames }) => report(frames, begun));
    const found = figures(notes, { fps, fromMs: begun + Math.min(SETTLE_S, seconds / 3) * 1000 });
    return { ...found, first_picture_ms: Math.round(viewer.firstPictureMs), dropped: notes.dropped };
  } finally {
    await viewer.close();
  }
}

/** The page opened `times` times, each in a new profile; spread over the group of pictures, since `gopSeconds` decide how much must be fetched. */
export async function opening(chromium, address, { times, gopSeconds }) {
  const each = [];
  for (let time = 0; time < times; time += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500 + ((time * 0.618) % 1) * gopSeconds * 1000));
    const viewer = await Viewer.open(chromium, address);
    each.push(Math.round(viewer.firstPictureMs));
    await viewer.close();
  }
  const sorted = [...each].sort((a, b) => a - b);
  return { times, p50_ms: percentile(sorted, 0.5), p95_ms: percentile(sorted, 0.95), max_ms: sorted.at(-1), each_ms: each };
}

/** A viewer whose network stands still, and how its latency comes back. */
export async function stall(options, address, webPort, { fps }) {
  const network = await Network.to(webPort);
  const chromium = await browser({ ...options, through: network.port });
  try {
    const viewer = await Viewer.open(chromium, address);
    await viewer.watch(SETTLE_S);
    await viewer.take({ anew: true });
    const before = figures(await viewer.watch(BEFORE_STILL_S), { fps });
    await viewer.take({ anew: true });
    const stilled = Date.now();
    await network.standStill(STILL_MS);
    const moving = Date.now();
    const limitMs = before.latency_ms.p50 + BACK_MS;
    let back;
    const notes = await viewer.watch(AFTER_STILL_S, ({ frames }) => (back = backAt(frames, moving, limitMs)) === undefined);
    const after = figures(notes, { fps, fromMs: stilled });
    const readable = notes.frames.filter(([, clock]) => clock >= 0);
    const steps = readable.slice(1).map(([, , mediaTime], index) => mediaTime - readable[index][2]);
    return {
      still_ms: STILL_MS,
      before_ms: before.latency_ms,
      worst_ms: after.latency_ms.max,
      back_within_ms: BACK_MS,
      back_after_s: back === undefined ? undefined : round((back - moving) / 1000, 1),
      stalls: after.stalls,
      longest_ms: after.freezes.longest_ms,
      rate: after.rate,
      seeks: after.seeks,
      emptied: after.emptied,
      unreadable: after.unreadable,
      went_back: steps.filter((step) => step < 0).length,
    };
  } finally {
    await chromium.close();
    network.close();
  }
}

/** When latency is at most `limitMs` again for BACK_WINDOW_S, after having been above it. */
export function backAt(frames, fromMs, limitMs) {
  const late = frames.filter(([shown, clock]) => shown >= fromMs && clock >= 0).map(([shown, clock]) => [shown, since(clock, shown)]);
  const last = late.at(-1)?.[0] ?? 0;
  const worst = late.findIndex(([, latency]) => latency > limitMs);
  for (const [index, [shown]] of late.entries()) {
    const end = shown + BACK_WINDOW_S * 1000;
    if (end > last) break;
    if (index < worst) continue;
    const sorted = late.slice(index).filter(([at]) => at < end).map(([, latency]) => latency).sort((a, b) => a - b);
    if (percentile(sorted, 0.5) <= limitMs) return shown;
  }
  return undefined;
}

/** A viewer alone, then beside a slow reader, a stalled one and `blocked` blocked requests, then alone again. */
export async function isolation(chromium, address, playback, { seconds, fps, blocked }) {
  const viewer = await Viewer.open(chromium, address);
  const part = async () => {
    await viewer.take({ anew: true });
    const begun = Date.now();
    return figures(await viewer.watch(seconds), { fps, fromMs: begun });
  };
  try {
    await viewer.watch(SETTLE_S);
    const alone = await part();
    const load = await Load.start(await mediaPlaylist(playback), blocked);
    let among;
    let did;
    try {
      among = await part();
    } finally {
      did = await load.stop();
    }
    const again = await part();
    const quiet = Math.max(alone.latency_ms.p95, again.latency_ms.p95);
    return { alone, among, again, load: did, p95_ratio: round(among.latency_ms.p95 / quiet, 3), more_stalls: among.stalls.count - Math.max(alone.stalls.count, again.stalls.count) };
  } finally {
    await viewer.close();
  }
}

async function mediaPlaylist(playback) {
  const text = await (await fetch(playback)).text();
  const line = text.split("\n").find((line) => line !== "" && !line.startsWith("#"));
  if (line === undefined) throw new Error(`${playback} lists no variant`);
  return new URL(line, playback).href;
}

class Load {
  #process;
  #said = "";

  static async start(playlist, blocked) {
    const load = new Load();
    const process = (load.#process = spawn("node", [path.join(HERE, "load.mjs"), playlist, String(blocked)], { stdio: ["ignore", "pipe", "inherit"] }));
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the load did not get ready")), LOAD_READY_MS_MAX);
      process.once("exit", () => reject(new Error("the load ended early")));
      process.stdout.on("data", (text) => {
        load.#said += text;
        if (!load.#said.includes("ready")) return;
        clearTimeout(timer);
        resolve();
      });
    });
    return load;
  }

  async stop() {
    const gone = new Promise((resolve) => this.#process.once("close", resolve));
    this.#process.kill("SIGTERM");
    await gone;
    return JSON.parse(this.#said.slice(this.#said.indexOf("{")));
  }
}
