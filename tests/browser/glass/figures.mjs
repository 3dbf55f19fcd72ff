// From presented frames and a media element's events to figures.

import { since } from "./clock.mjs";

/** A frame that stays longer than three frame durations and 150 ms over is a picture that stands still, as WebRTC's statistics count it. */
const FREEZE_FRAMES = 3;
const FREEZE_EXTRA_MS = 150;

/** The value below which `share` (0 to 1) of the sorted values are. */
export function percentile(sorted, share) {
  return sorted.length === 0 ? undefined : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

/** `frames` and `events` as watch.mjs notes them; those shown before `fromMs` count for stalls and not for latency. */
export function figures({ frames, events }, { fps, fromMs = 0 }) {
  const readable = frames.filter(([, clock]) => clock >= 0);
  const latencies = readable.filter(([shown]) => shown >= fromMs).map(([shown, clock]) => since(clock, shown)).sort((a, b) => a - b);
  const freezeMs = Math.max((FREEZE_FRAMES * 1000) / fps, 1000 / fps + FREEZE_EXTRA_MS);
  const gaps = frames.slice(1).map(([shown], index) => shown - frames[index][0]);
  const frozen = gaps.filter((gap) => gap > freezeMs);
  const rates = events.filter(([, name]) => name === "ratechange").map(([, , rate]) => rate);
  const last = frames.at(-1)?.[0] ?? 0;
  return {
    frames: frames.length,
    unreadable: frames.length - readable.length,
    seconds: frames.length > 0 ? round((last - frames[0][0]) / 1000, 1) : 0,
    latency_ms: {
      p50: whole(percentile(latencies, 0.5)),
      p95: whole(percentile(latencies, 0.95)),
      p99: whole(percentile(latencies, 0.99)),
      min: whole(latencies[0]),
      max: whole(latencies.at(-1)),
    },
    stalls: stalls(events, last),
    freezes: { count: frozen.length, seconds: round(frozen.reduce((sum, gap) => sum + gap, 0) / 1000, 2), longest_ms: whole(Math.max(0, ...gaps)) },
    rate: { changes: rates.length, min: Math.min(1, ...rates), max: Math.max(1, ...rates), faster_share: fasterShare(events, frames[0]?.[0] ?? 0, last) },
    seeks: events.filter(([, name]) => name === "seeking").length,
    emptied: events.filter(([, name]) => name === "emptied").length,
  };
}

/** Times that the element waited for data after it had begun to play, and for how long together. */
function stalls(events, last) {
  let [count, waited, since, played] = [0, 0, undefined, false];
  for (const [at, name] of events) {
    if (name === "waiting" && played && since === undefined) [count, since] = [count + 1, at];
    if (name !== "playing") continue;
    played = true;
    if (since !== undefined) waited += at - since;
    since = undefined;
  }
  if (since !== undefined) waited += Math.max(0, last - since);
  return { count, seconds: round(waited / 1000, 2) };
}

/** The share of the time from `first` to `last` that was played faster than 1. */
function fasterShare(events, first, last) {
  let [faster, from] = [0, undefined];
  for (const [at, name, rate] of events) {
    if (name !== "ratechange") continue;
    if (from !== undefined) faster += at - from;
    from = rate > 1 ? at : undefined;
  }
  if (from !== undefined) faster += last - from;
  return last > first ? round(faster / (last - first), 3) : 0;
}

function whole(value) {
  return value === undefined ? undefined : Math.round(value);
}

export function round(value, digits) {
  return Number(value.toFixed(digits));
}
