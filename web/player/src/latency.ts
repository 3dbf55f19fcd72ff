// Holds the distance to the live edge: a little faster when behind, a jump when far behind, more distance after a stall.
//
// hls.js' own catch-up needs a second of buffer ahead before it acts, which a stream with a hold-back of 0.6 s never has;
// so its rate control stays off and this one decides.

export interface LatencySample {
  /** Seconds from the end of the newest part to the playhead. */
  readonly latency: number;
  /** Seconds that the playlist asks to keep (PART-HOLD-BACK or HOLD-BACK). */
  readonly holdBack: number;
  /** Seconds that are buffered ahead of the playhead. */
  readonly ahead: number;
  readonly nowMs: number;
}

export type LatencyStep = { readonly kind: "rate"; readonly rate: number } | { readonly kind: "jump"; readonly latency: number };

/** Within this of the target the rate is 1. One frame at 30 fps and the grain of a media element's clock. */
const DEADBAND_S = 0.06;
/** Once it caught up this far inside the band it stays at 1 until it leaves the band again. */
const SETTLED_S = 0.02;
/** Faster than this is heard in music and speech. */
const RATE_MAX = 1.1;
/** Speed for each second behind: the last quarter of a second is made good within a few seconds. */
const GAIN = 0.4;
/** Further behind than this is not caught up by rate in reasonable time (40 s at the fastest): jump. */
const JUMP_BEHIND_S = 4;
/** A rate above 1 drains the buffer; below this much it would cause the next stall. */
const AHEAD_MIN_S = 0.15;
/** What a stall adds to the target, at most, and how fast it is given back while nothing stalls. */
const STALL_STEP_S = 0.15;
const STALL_MAX_S = 1.5;
const STALL_DECAY_S_PER_S = 0.01;

export class LatencyHold {
  #extra = 0;
  #lastMs: number | undefined;
  #catchingUp = false;

  /** Seconds that stalls have added to the hold-back. */
  get extra(): number {
    return this.#extra;
  }

  stalled(): void {
    this.#extra = Math.min(STALL_MAX_S, this.#extra + STALL_STEP_S);
  }

  step(sample: LatencySample): LatencyStep {
    if (this.#lastMs !== undefined) {
      this.#extra = Math.max(0, this.#extra - (STALL_DECAY_S_PER_S * Math.max(0, sample.nowMs - this.#lastMs)) / 1000);
    }
    this.#lastMs = sample.nowMs;
    const target = sample.holdBack + this.#extra;
    const behind = sample.latency - target;
    if (behind > JUMP_BEHIND_S) {
      this.#catchingUp = false;
      return { kind: "jump", latency: target };
    }
    this.#catchingUp = behind > (this.#catchingUp ? SETTLED_S : DEADBAND_S);
    if (!this.#catchingUp || sample.ahead < AHEAD_MIN_S) return { kind: "rate", rate: 1 };
    // Steps of 1 %, so that the element's rate is not changed four times a second.
    const rate = Math.min(RATE_MAX, Math.max(1.01, Math.round((1 + GAIN * behind) * 100) / 100));
    return { kind: "rate", rate };
  }

  reset(): void {
    this.#extra = 0;
    this.#lastMs = undefined;
    this.#catchingUp = false;
  }
}
