// Tells the server how playback fares: at the first picture, every ten seconds or so while pictures should move, and at the end.
// Numbers only, in the words of CMCD (CTA-5004, second version); nothing of the viewer, the page or the machine.

import type { Timers } from "./recovery";

/** What is measured when a beacon is about to be sent; what is not known is undefined. */
export interface Sample {
  /** UTC, ms, of the picture at the playhead: with it the server tells the latency by its own clock alone. */
  readonly playheadMs: number | undefined;
  /** By this machine's clock, ms, for whoever cannot use the above. */
  readonly latencyMs: number | undefined;
  readonly bitrate: number | undefined;
  /** Pictures that the element has dropped since its source was set. */
  readonly dropped: number;
}

export interface BeaconParts {
  readonly timers: Timers;
  readonly random: () => number;
  readonly sample: () => Sample;
  /** `leaving`: the page may be gone at once. */
  readonly send: (address: string, text: string, when: "playing" | "leaving") => void;
}

const EVERY_MS = 10_000;
/** Viewers of a broadcast that began at one moment do not tell at one moment. */
const JITTER = 0.25;
/** Whatever happens, not more often than this. */
const APART_MS_MIN = 1000;

export class Beacon {
  readonly #parts: BeaconParts;
  #address: string | undefined;
  #timer: number | undefined;
  #wishedAt: number | undefined;
  #startupMs: number | undefined;
  #stalls = 0;
  #stalledMs = 0;
  #stalledSince: number | undefined;
  #dropped = 0;
  #droppedBefore = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  #moves = false;
  #greeted = false;

  constructor(parts: BeaconParts) {
    this.#parts = parts;
  }

  /** Somebody wants to see pictures. */
  wished(): void {
    this.#wishedAt ??= this.#now();
  }

  /** Nobody waits for the first picture any more: nothing is broadcast, or nobody wants it. */
  unwished(): void {
    this.#wishedAt = undefined;
  }

  /** Qualities are known; the sums begin anew for another stream or viewer. */
  ready(address: string | undefined): void {
    this.#droppedBefore = 0;
    if (address === this.#address) return;
    this.#quiet();
    this.#address = address;
    this.#greeted = false;
    this.#startupMs = undefined;
    this.#stalls = this.#stalledMs = this.#dropped = 0;
    this.#stalledSince = undefined;
  }

  moves(): void {
    this.#count();
    this.#stalledSince = undefined;
    if (!this.#greeted && this.#wishedAt !== undefined) this.#startupMs = this.#now() - this.#wishedAt;
    this.#wishedAt = undefined;
    this.#moves = true;
    if (!this.#greeted) this.#tell("playing");
    this.#greeted = true;
    if (this.#timer === undefined) this.#later();
  }

  /** Pictures moved and wait. */
  stalled(): void {
    if (this.#stalledSince !== undefined) return;
    this.#stalls += 1;
    this.#stalledSince = this.#now();
  }

  /** Pictures need not move: a pause, an end, a failure. What was not told yet is told. */
  rests(): void {
    if (!this.#moves) return;
    this.#count();
    this.#stalledSince = undefined;
    this.#tell("playing");
    this.#quiet();
  }

  /** The page is put away, or the player is. */
  leaves(): void {
    if (!this.#moves) return;
    this.#count();
    this.#tell("leaving");
  }

  stop(): void {
    this.leaves();
    this.#quiet();
    this.#address = undefined;
  }

  #quiet(): void {
    this.#moves = false;
    if (this.#timer !== undefined) this.#parts.timers.clear(this.#timer);
    this.#timer = undefined;
  }

  #later(): void {
    const delay = EVERY_MS * (1 - JITTER + 2 * JITTER * this.#parts.random());
    this.#timer = this.#parts.timers.set(() => {
      this.#count();
      this.#tell("playing");
      this.#later();
    }, delay);
  }

  /** Adds what a stall that goes on has lasted so far. */
  #count(): void {
    if (this.#stalledSince === undefined) return;
    const now = this.#now();
    this.#stalledMs += Math.max(0, now - this.#stalledSince);
    this.#stalledSince = now;
  }

  #tell(when: "playing" | "leaving"): void {
    const now = this.#now();
    if (this.#address === undefined || now - this.#sentAt < APART_MS_MIN) return;
    this.#sentAt = now;
    const { playheadMs, latencyMs, bitrate, dropped } = this.#parts.sample();
    // The element counts from its source's setting on.
    this.#dropped += Math.max(0, dropped < this.#droppedBefore ? dropped : dropped - this.#droppedBefore);
    this.#droppedBefore = dropped;
    const members: [string, number | undefined][] = [
      ["br", bitrate && bitrate / 1000],
      ["bsa", this.#stalls],
      ["bsda", this.#stalledMs],
      ["dfa", this.#dropped],
      ["headwater-pdt", playheadMs],
      ["ltc", latencyMs],
      ["msd", this.#startupMs],
      ["v", 2],
    ];
    const known = members.filter(([, value]) => value !== undefined && Number.isFinite(value) && value >= 0);
    this.#parts.send(this.#address, known.map(([name, value]) => `${name}=${Math.round(value!)}`).join(","), when);
  }

  #now(): number {
    return this.#parts.timers.now();
  }
}
