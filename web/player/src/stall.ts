// Decides what to do while the picture waits: nothing, leave out what does not come, or take it for the end.

export interface StallSample {
  readonly nowMs: number;
  readonly waiting: boolean;
  /** Seconds of newer media than the player has, beyond the distance that it keeps; undefined if it keeps none. */
  readonly missed: number | undefined;
  /** Seconds to the end of a finished playlist; undefined while it goes on. */
  readonly toEnd: number | undefined;
}

export type StallStep = "wait" | "leave out" | "ended";

/** While the picture waits this long and this much newer media is announced, what it waits for is not worth it. */
const LEAVE_OUT_AFTER_MS = 1500;
const LEAVE_OUT_MISSED_S = 1;
/** Once the playlist is finished, a picture that waits this near to its end has reached it. */
const END_NEAR_S = 1;
const END_AFTER_MS = 500;

export class Stall {
  #since: number | undefined;

  step({ nowMs, waiting, missed, toEnd }: StallSample): StallStep {
    if (!waiting) this.#since = undefined;
    else this.#since ??= nowMs;
    if (this.#since === undefined) return "wait";
    const waited = nowMs - this.#since;
    // hls.js does not fetch parts that came in the same playlist as its end, and then never says that the end is reached.
    if (toEnd !== undefined && toEnd < END_NEAR_S && waited >= END_AFTER_MS) return "ended";
    if (missed === undefined || missed < LEAVE_OUT_MISSED_S || waited < LEAVE_OUT_AFTER_MS) return "wait";
    // Once more only after another wait: a seek needs its time.
    this.#since = nowMs;
    return "leave out";
  }
}
