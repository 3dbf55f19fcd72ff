// Fires cues in step with the picture: with its frames, and by a timer where there are none.

import { CueTimeline, type TimedCue } from "./cues";
import type { Timers } from "./recovery";

/** Elements tell the time four times a second and a hidden page has no frame callbacks: a cue that is nearer has its own timer. */
const TIMER_MS = 250;

/** Where playback stands. */
export interface Playhead {
  /** Seconds of media time; undefined while pictures do not move. */
  position(): number | undefined;
  rate(): number;
}

export class CueClock {
  readonly #timeline: CueTimeline;
  readonly #timers: Timers;
  readonly #playhead: Playhead;
  #timer: number | undefined;

  constructor(fire: (cue: TimedCue) => void, timers: Timers, playhead: Playhead) {
    this.#timeline = new CueTimeline(fire);
    this.#timers = timers;
    this.#playhead = playhead;
  }

  add(cue: TimedCue): void {
    this.#timeline.add(cue);
    this.advance();
  }

  restart(): void {
    this.#timeline.restart();
  }

  /** To the playhead, or to a frame that is about to be shown ahead of it. */
  advance(frame = 0): void {
    const playhead = this.#playhead.position();
    if (playhead === undefined) return;
    const position = Math.max(frame, playhead);
    this.#timeline.advance(position);
    this.stop();
    const next = this.#timeline.next();
    const delay = next === undefined ? Number.POSITIVE_INFINITY : ((next - position) * 1000) / this.#playhead.rate();
    if (delay < TIMER_MS) this.#timer = this.#timers.set(() => this.advance(), Math.max(1, delay));
  }

  stop(): void {
    if (this.#timer !== undefined) this.#timers.clear(this.#timer);
    this.#timer = undefined;
  }
}
