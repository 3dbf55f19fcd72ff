import { expect, test } from "vitest";
import { LatencyHold } from "../src/latency";

/** Plays for `seconds` at what the hold decides, and returns where that leads. */
function play(hold: LatencyHold, from: { latency: number; ahead?: number }, seconds: number): { latency: number; rates: number[]; jumps: number } {
  let { latency } = from;
  let jumps = 0;
  const rates: number[] = [];
  for (let ms = 0; ms < seconds * 1000; ms += 250) {
    const step = hold.step({ latency, holdBack: 0.6, ahead: from.ahead ?? latency - 0.2, nowMs: ms });
    if (step.kind === "jump") {
      latency = step.latency;
      jumps += 1;
    } else {
      latency -= 0.25 * (step.rate - 1);
      rates.push(step.rate);
    }
  }
  return { latency, rates, jumps };
}

test("from a second behind it is back at the hold-back within half a minute, by rate alone", () => {
  const { latency, rates, jumps } = play(new LatencyHold(), { latency: 1.6 }, 30);
  expect(jumps).toBe(0);
  expect(latency).toBeGreaterThan(0.6);
  expect(latency).toBeLessThan(0.68);
  expect(Math.max(...rates)).toBeLessThanOrEqual(1.1);
});

test("at the hold-back the rate stays at 1", () => {
  const { rates } = play(new LatencyHold(), { latency: 0.64 }, 10);
  expect(new Set(rates)).toEqual(new Set([1]));
});

test("the rate falls to 1 without rising on the way, and stays there", () => {
  const { rates } = play(new LatencyHold(), { latency: 1 }, 60);
  expect(rates).toEqual([...rates].sort((a, b) => b - a));
  expect(rates.at(-1)).toBe(1);
});

test("a stall's distance is made good within fifteen seconds", () => {
  const hold = new LatencyHold();
  hold.stalled();
  expect(play(hold, { latency: 2 }, 15).latency).toBeLessThan(0.85);
});

test("far behind it jumps, once", () => {
  const { latency, jumps } = play(new LatencyHold(), { latency: 12 }, 5);
  expect(jumps).toBe(1);
  expect(latency).toBeCloseTo(0.6, 1);
});

test("with next to nothing buffered it does not run dry by hurrying", () => {
  const { rates } = play(new LatencyHold(), { latency: 2, ahead: 0.1 }, 5);
  expect(new Set(rates)).toEqual(new Set([1]));
});

test("each stall asks for more distance, up to a limit, and quiet gives it back", () => {
  const hold = new LatencyHold();
  hold.stalled();
  expect(hold.extra).toBeCloseTo(0.15);
  for (let i = 0; i < 100; i += 1) hold.stalled();
  expect(hold.extra).toBe(1.5);
  play(hold, { latency: 2.1 }, 160);
  expect(hold.extra).toBe(0);
});
