// Says what was measured, for people.

import os from "node:os";
import { figures } from "./figures.mjs";

export function machine() {
  const cpus = os.cpus();
  return `${cpus.length} × ${cpus[0]?.model.trim() ?? "?"}, ${os.platform()} ${os.release()}`;
}

/** A line every half minute of a long measurement. */
export function progress(name, seconds) {
  let next = 30;
  return (frames, begun) => {
    const passed = (Date.now() - begun) / 1000;
    if (passed < next || seconds < 60) return;
    next += 30;
    const recent = figures({ frames: frames.slice(-900), events: [] }, { fps: 30 });
    console.log(`${name}: ${Math.round(passed)} of ${seconds} s, the last 900 frames: p50 ${recent.latency_ms.p50} ms, p95 ${recent.latency_ms.p95} ms`);
  };
}

export function picture(name, { latency_ms: ms, stalls, freezes, rate, first_picture_ms, frames, unreadable, seconds, dropped }) {
  console.log(`${name}: glass to glass p50 ${ms.p50}, p95 ${ms.p95}, p99 ${ms.p99}, max ${ms.max} ms over ${frames} frames in ${seconds} s (${dropped} dropped, ${unreadable} unreadable)`);
  console.log(`${name}: stalls ${stalls.count} (${stalls.seconds} s), picture stood still ${freezes.count} times (${freezes.seconds} s, at most ${freezes.longest_ms} ms), first picture ${first_picture_ms} ms`);
  console.log(`${name}: rate ${rate.min}–${rate.max}, changed ${rate.changes} times, faster than 1 for ${(rate.faster_share * 100).toFixed(1)} % of the time`);
}

export function opening(name, { times, p50_ms, p95_ms, max_ms, each_ms }) {
  console.log(`${name}: first picture after opening the page, ${times} times: p50 ${p50_ms}, p95 ${p95_ms}, max ${max_ms} ms (${each_ms.join(" ")})`);
}

export function stall(name, found) {
  const { still_ms, before_ms, worst_ms, back_within_ms, back_after_s, stalls, longest_ms, rate, seeks, emptied, went_back } = found;
  console.log(`${name}: the network stood still for ${still_ms} ms: p50 ${before_ms.p50} ms before, at most ${worst_ms} ms after, within ${back_within_ms} ms of before again after ${back_after_s ?? "more than the measured"} s`);
  console.log(`${name}: stalls ${stalls.count} (${stalls.seconds} s), a picture stood ${longest_ms} ms at most, rate up to ${rate.max}, ${seeks} seeks, ${went_back} steps back, emptied ${emptied} times`);
}

export function isolation(name, { alone, among, again, load, p95_ratio, more_stalls }) {
  const line = ({ latency_ms, stalls }) => `p50 ${latency_ms.p50} p95 ${latency_ms.p95} p99 ${latency_ms.p99} ms, stalls ${stalls.count}`;
  console.log(`${name}: alone ${line(alone)}; among ${load.blocked} blocked requests, a slow and a stalled reader ${line(among)}; alone again ${line(again)}`);
  console.log(`${name}: p95 × ${p95_ratio}, ${more_stalls} more stalls; ${load.answers} answers, ${load.refused} refused, ${load.broken} broken; the load took ${Math.round(load.cpu_share * 100)} % of a core`);
}

/** Nothing when it kept up. */
export function encoder(name, { frames_left_out }) {
  if (frames_left_out > 0) console.log(`${name}: the machine was too slow for the encoder, ${frames_left_out} frames were left out: the figures say little about the server`);
}

export function close({ machine, load_average }) {
  console.log(`machine: ${machine}; load average at the end ${load_average.join(" ")}`);
}
