// What the player asks of an engine, and what an engine tells: hls.js where there is Media Source, the browser's own HLS elsewhere.

import type { LogLevel, Quality } from "./api";
import type { TimedCue } from "./cues";

/** A cause that stopped the engine from going on by itself. */
export interface Failure {
  readonly kind: "network" | "media" | "unsupported";
  readonly source: "MasterPlaylist" | "MediaPlaylist" | "Segment" | "Decoder" | "Source";
  /** HTTP status; 0 when there was no answer or the cause is not in the network. */
  readonly status: number;
  readonly message: string;
}

/** Where playback stands on the live timeline; nothing when the stream is not live or not known yet. */
export interface LiveEdge {
  /** Media time of the end of the newest part, seconds, moved on by the time since it was announced (at most a part). */
  readonly edge: number;
  /** Seconds to keep from it. */
  readonly holdBack: number;
}

/** Each engine holds exactly one of these, wired at its making. */
export interface EngineNews {
  /** Qualities are known. `session` names the broadcast; it differs when another one is played. The addresses are those of its variants. */
  ready(session: string, addresses: readonly string[]): void;
  quality(quality: Quality): void;
  cue(cue: TimedCue): void;
  /** The playlist is finished: what is buffered is the rest. */
  finished(): void;
  failed(failure: Failure): void;
  log(level: LogLevel, text: string): void;
}

export interface EngineOptions {
  readonly lowLatency: boolean;
  readonly credentials: RequestCredentials;
}

export interface Engine {
  load(url: string): void;
  /** Goes on where a network failure stopped it, on the same session. */
  resume(): void;
  /** Rebuilds the decoder on the same session. */
  recoverMedia(): void;
  /** Milliseconds since it last asked the server for anything. */
  quietMs(): number;
  live(): boolean;
  edge(): LiveEdge | undefined;
  /** Wall clock (UTC, ms) of the picture at the playhead, by EXT-X-PROGRAM-DATE-TIME. */
  syncTimeMs(): number | undefined;
  /** Address of the variant that is fetched; undefined where the engine does not tell. */
  playing(): string | undefined;
  qualities(): readonly Quality[];
  current(): Quality | undefined;
  /** `undefined` gives the choice back to the engine. */
  choose(quality: Quality | undefined, how: "at-once" | "smoothly"): void;
  automatic(): boolean;
  /** The best quality that the automatic choice may take; `undefined` for all. */
  limit(allowed: ((quality: Quality) => boolean) | undefined): void;
  destroy(): void;
}
