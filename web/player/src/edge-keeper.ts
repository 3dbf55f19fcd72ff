// Keeps the playhead at its distance from the live edge: by rate, by a jump, and by leaving out what does not come.

import type { Element } from "./element";
import type { LiveEdge } from "./engine";
import { LatencyHold } from "./latency";
import { Stall } from "./stall";

/** A live stream this far behind its edge was wound back on purpose. */
const DVR_S = 8;
/** Playback begins at a keyframe. Further behind than this it goes on to its distance by a jump, nearer by rate. */
const START_BEHIND_S = 0.4;
/** What must be buffered where a jump goes to, or the picture would wait there. */
const JUMP_AHEAD_S = 0.2;

export interface EdgeLook {
  readonly nowMs: number;
  /** Nothing when the stream is not live. */
  readonly edge: LiveEdge | undefined;
  /** Pictures move at the rate that the player decides. */
  readonly held: boolean;
  /** Pictures moved and wait. */
  readonly waiting: boolean;
  /** The playlist is finished: what is announced is the rest. */
  readonly finished: boolean;
}

export type EdgeFinding = { readonly kind: "nothing" | "ended" } | { readonly kind: "left out"; readonly seconds: number };

export class EdgeKeeper {
  readonly #element: Element;
  readonly #hold = new LatencyHold();
  readonly #stall = new Stall();
  #follows = true;
  /** The beginning has not taken its distance yet. */
  #beginning = true;
  #initialBuffer = 0;

  constructor(element: Element) {
    this.#element = element;
  }

  /** Seconds that are kept from the edge, whatever the stream asks for. */
  keepAtLeast(seconds: number): void {
    this.#initialBuffer = seconds;
  }

  /** Nobody wound back: the distance to the edge is not the viewer's wish. */
  get follows(): boolean {
    return this.#follows;
  }

  restart(): void {
    this.#hold.reset();
    this.#follows = true;
    this.#beginning = true;
  }

  stalled(): void {
    this.#hold.stalled();
  }

  seekTo(seconds: number, edge: LiveEdge | undefined): void {
    this.#follows = !edge || edge.edge - seconds < DVR_S;
    this.#element.video.currentTime = seconds;
  }

  toLive(edge: LiveEdge): void {
    this.#follows = true;
    this.#element.video.currentTime = Math.max(0, edge.edge - this.#holdBack(edge) - this.#hold.extra);
  }

  /** What there is to do now is done; what the player must know is returned. */
  look(look: EdgeLook): EdgeFinding {
    const finding = this.#lookAtStall(look);
    this.#holdLatency(look);
    return finding;
  }

  #holdLatency({ edge, held, nowMs }: EdgeLook): void {
    const { video } = this.#element;
    if (!edge || !held || !this.#follows || video.seeking) return;
    if (this.#beginning && this.#begin(edge)) return;
    const step = this.#hold.step({
      latency: edge.edge - video.currentTime,
      holdBack: this.#holdBack(edge),
      ahead: this.#element.ahead(),
      nowMs,
    });
    if (step.kind === "jump") video.currentTime = Math.max(0, edge.edge - step.latency);
    else if (video.playbackRate !== step.rate) video.playbackRate = step.rate;
  }

  /** Whether the beginning waits for its jump, or makes it. */
  #begin(edge: LiveEdge): boolean {
    const { video } = this.#element;
    const behind = edge.edge - video.currentTime - this.#holdBack(edge);
    this.#beginning = behind > START_BEHIND_S && this.#element.ahead() < behind + JUMP_AHEAD_S;
    if (behind <= START_BEHIND_S) return false;
    if (!this.#beginning) video.currentTime += behind;
    return true;
  }

  #lookAtStall({ edge, waiting, finished, nowMs }: EdgeLook): EdgeFinding {
    const { duration, currentTime } = this.#element.video;
    const missed = edge && this.#follows ? edge.edge - this.#element.buffered().end - this.#holdBack(edge) : undefined;
    const step = this.#stall.step({ nowMs, waiting, missed, toEnd: finished ? duration - currentTime : undefined });
    if (step === "ended") return { kind: "ended" };
    if (step !== "leave out" || !edge || missed === undefined) return { kind: "nothing" };
    this.toLive(edge);
    return { kind: "left out", seconds: missed };
  }

  #holdBack(edge: LiveEdge): number {
    return Math.max(edge.holdBack, this.#initialBuffer);
  }
}
