// Timed metadata on the media timeline: cues come in early, twice or late, and each fires once when the playhead is there.

/** A cue as an engine found it. Times are seconds of media time. */
export interface TimedCue {
  /** The same for every copy of one cue, when the carrier has one. */
  readonly id: string | undefined;
  /** By the media's own clock, or by dates, which are as good as the encoder's arrival was even. */
  readonly clock: "media" | "date";
  readonly startTime: number;
  readonly endTime: number;
  readonly text: string;
  readonly owner: string;
}

/** A cue this far behind the playhead when a jump passed it is old news, and is dropped. */
const STALE_S = 10;
/** Copies of one cue without a common id (an `emsg` and an EXT-X-DATERANGE) are this close: a video frame and rounding to ms. */
const SAME_CUE_S = 0.1;
/** Remembered fired cues; at 5 cues a second, the most a channel may send, more than three minutes: longer than any window. */
const FIRED_MAX = 1000;
/** Waiting cues; more are dropped, oldest first. */
const WAITING_MAX = 1000;

export class CueTimeline {
  #waiting: TimedCue[] = [];
  #fired: TimedCue[] = [];
  /** The first position that was played. Cues before it belong to what this viewer did not see. */
  #armedAt: number | undefined;
  readonly #fire: (cue: TimedCue) => void;

  constructor(fire: (cue: TimedCue) => void) {
    this.#fire = fire;
  }

  add(cue: TimedCue): void {
    if (!Number.isFinite(cue.startTime) || this.#fired.some((fired) => same(fired, cue))) return;
    const index = this.#waiting.findIndex((waiting) => same(waiting, cue));
    if (index >= 0) {
      const waiting = this.#waiting[index]!;
      // A later copy may know the time better: an EXT-X-DATERANGE moves when the playlist's anchor is corrected.
      const better = waiting.clock === "media" && cue.clock === "date" ? waiting : cue;
      this.#waiting[index] = { ...better, id: waiting.id ?? cue.id };
    } else {
      this.#waiting.push(cue);
    }
    this.#waiting.sort((a, b) => a.startTime - b.startTime);
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
  }

  /** The playhead is at `position`, and the picture there is or is about to be on the screen. */
  advance(position: number): void {
    this.#armedAt ??= position;
    while (this.#waiting.length > 0 && this.#waiting[0]!.startTime <= position) {
      const cue = this.#waiting.shift()!;
      if (cue.startTime < this.#armedAt || cue.startTime < position - STALE_S) continue;
      this.#fired.push(cue);
      if (this.#fired.length > FIRED_MAX) this.#fired.shift();
      this.#fire(cue);
    }
  }

  /** The next cue's time, if one waits: lets a caller set a timer that is finer than the media element's events. */
  next(): number | undefined {
    return this.#waiting[0]?.startTime;
  }

  /** Another media timeline begins. What fired stays fired where it has an id. */
  restart(): void {
    this.#waiting = [];
    this.#armedAt = undefined;
    this.#fired = this.#fired.filter((cue) => cue.id !== undefined).map((cue) => ({ ...cue, startTime: Number.NaN }));
  }
}

function same(a: TimedCue, b: TimedCue): boolean {
  if (a.id !== undefined && b.id !== undefined) return a.id === b.id;
  return a.text === b.text && Math.abs(a.startTime - b.startTime) < SAME_CUE_S;
}
