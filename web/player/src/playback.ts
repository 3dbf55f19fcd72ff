// Playback: one media element, one engine at a time, one state; what happens is told by name.

import {
  ErrorType,
  HeadwaterEventType,
  LogLevel,
  MetadataEventType,
  Phase,
  PlayerEventType,
  PlayerState,
  type EventPayloads,
  type PlayerConfig,
  type PlayerError,
} from "./api";
import { Beacon } from "./beacon";
import { CueClock } from "./cue-clock";
import type { TimedCue } from "./cues";
import { EdgeKeeper } from "./edge-keeper";
import { Element } from "./element";
import type { Engine, EngineNews, EngineOptions, Failure } from "./engine";
import { QualityLimits } from "./limits";
import { sessionOf, type Probe } from "./probe";
import { Recovery, type Timers } from "./recovery";
import { beaconAddress, viewerOf, withViewer } from "./viewer";

/** What a player is made of; tests hand in their own. */
export interface Parts {
  readonly makeEngine: (video: HTMLVideoElement, options: EngineOptions, news: EngineNews) => Engine;
  readonly makeVideo: () => HTMLVideoElement;
  readonly probe: (url: string, credentials: RequestCredentials) => Promise<Probe>;
  /** Sends a beacon and does not wait for the answer. */
  readonly send: (address: string, text: string, when: "playing" | "leaving") => void;
  /** Calls when the page is put away or left; returns the way to stop. */
  readonly leaving: (run: () => void) => () => void;
  readonly timers: Timers;
  readonly random: () => number;
  readonly version: string;
}

export type Tell = <K extends keyof EventPayloads>(name: K, payload: EventPayloads[K]) => void;

/** Latency is looked at as often as a media element tells the time. */
const TICK_MS = 250;
/** An engine that asks for nothing for this long has given up; a held-back playlist is asked for again well within it. */
const QUIET_MS_MAX = 20_000;
/** A difference of clocks beyond this is a wrong clock on one side, not latency. */
const LATENCY_MAX_S = 3600;
const LOG_LEVELS: readonly LogLevel[] = [LogLevel.DEBUG, LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR];

/** What a page may set at any time. */
export interface Settings {
  autoplay: boolean;
  lowLatency: boolean;
  rebufferToLive: boolean;
  credentials: RequestCredentials;
  logLevel: LogLevel;
}

export class Playback {
  readonly element: Element;
  readonly limits: QualityLimits;
  readonly settings: Settings;
  readonly edge: EdgeKeeper;
  readonly #parts: Parts;
  readonly #tell: Tell;
  readonly #recovery: Recovery;
  readonly #cues: CueClock;
  /** Undefined when the page turned it off. */
  readonly #beacon: Beacon | undefined;
  readonly #stay: () => void;
  #engine: Engine | undefined;
  #url: string | undefined;
  /** The viewer session, as the server named it last. */
  #viewer: string | undefined;
  #state: PlayerState = PlayerState.IDLE;
  #phase: Phase = Phase.OFFLINE;
  #ready = false;
  #wantsPlay = false;
  #everPlayed = false;
  #rate = 1;
  #session: string | undefined;
  #syncSecond = 0;
  #playlistFinished = false;
  #ticker: number | undefined;
  #deleted = false;

  constructor(config: PlayerConfig, parts: Parts, tell: Tell) {
    this.#parts = parts;
    this.#tell = tell;
    this.limits = new QualityLimits(config.isQualitySupported);
    this.settings = {
      autoplay: false,
      lowLatency: true,
      rebufferToLive: false,
      credentials: "same-origin",
      logLevel: config.logLevel ?? LogLevel.ERROR,
    };
    this.element = this.#wired(parts.makeVideo());
    this.edge = new EdgeKeeper(this.element);
    this.#cues = new CueClock((cue) => this.#cue(cue), parts.timers, {
      position: () => (this.#state === PlayerState.PLAYING ? this.#video.currentTime : undefined),
      rate: () => this.#video.playbackRate,
    });
    this.#beacon = config.beacon === false ? undefined : this.#measuring();
    this.#stay = parts.leaving(() => this.#beacon?.leaves());
    this.#recovery = new Recovery(
      config.watch ?? false,
      {
        probe: () => this.#probe(),
        goesOn: ({ addresses }) => {
          const playing = this.#engine?.playing();
          return playing !== undefined && addresses.some((address) => sessionOf([address]) === sessionOf([playing]));
        },
        resume: () => this.#engine?.resume(),
        recoverMedia: () => {
          this.#engine?.recoverMedia();
          if (this.#wantsPlay) this.#start();
        },
        reload: () => this.#loadEngine(),
        offline: () => this.#rest(PlayerState.IDLE, Phase.OFFLINE),
        over: () => this.#rest(PlayerState.ENDED, Phase.ENDED),
        unreachable: () => this.#emit(PlayerEventType.NETWORK_UNAVAILABLE, undefined),
        fail: (error) => this.#fail(error),
      },
      parts.timers,
      parts.random,
    );
  }

  get deleted(): boolean {
    return this.#deleted;
  }

  get state(): PlayerState {
    return this.#state;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Undefined before the first load and after a failure. */
  get engine(): Engine | undefined {
    return this.#engine;
  }

  /** Qualities are known. */
  get ready(): boolean {
    return this.#ready;
  }

  get wantsPlay(): boolean {
    return this.#wantsPlay;
  }

  get rate(): number {
    return this.#rate;
  }

  get session(): string | undefined {
    return this.#session;
  }

  get viewer(): string | undefined {
    return this.#viewer;
  }

  load(url: string): void {
    if (this.#deleted) return;
    this.#recovery.begin();
    this.#everPlayed = false;
    let absolute: string;
    try {
      absolute = new URL(url, globalThis.location?.href).href;
    } catch {
      const message = "the address to load is not a URL";
      this.#fail({ source: "Source", type: ErrorType.INVALID_PARAMETER, code: 0, message });
      return;
    }
    // The same address is the same viewer, who may come back; another token is for somebody else.
    if (absolute !== this.#url) this.#viewer = undefined;
    this.#url = absolute;
    if (this.settings.autoplay) this.#wantsPlay = true;
    this.#loadEngine();
  }

  /** Loads the same address anew if one was loaded: something changed that an engine learns at its making. */
  renew(): void {
    if (this.#engine && this.#url !== undefined) this.#loadEngine();
  }

  play(): void {
    if (this.#deleted) return;
    this.#wantsPlay = true;
    if (this.#url !== undefined && !this.#everPlayed) this.#beacon?.wished();
    if (this.#ready) this.#start();
  }

  pause(): void {
    if (this.#deleted) return;
    this.#wantsPlay = false;
    this.#beacon?.unwished();
    this.#beacon?.rests();
    this.#video.pause();
    this.#recovery.relaxed();
  }

  seekTo(seconds: number): void {
    if (this.#deleted || !Number.isFinite(seconds)) return;
    this.edge.seekTo(seconds, this.#engine?.edge());
  }

  seekToLive(): void {
    const edge = this.#engine?.edge();
    if (!this.#deleted && edge) this.edge.toLive(edge);
  }

  setRate(rate: number): void {
    const next = Math.min(2, Math.max(0.25, rate));
    if (next === this.#rate || !Number.isFinite(next)) return;
    this.#rate = next;
    this.#video.playbackRate = next;
    this.#emit(PlayerEventType.PLAYBACK_RATE_CHANGED, next);
  }

  /** The limits were changed. */
  limit(): void {
    this.#engine?.limit(this.limits.allowed());
  }

  delete(): void {
    this.#deleted = true;
    this.#beacon?.stop();
    this.#stay();
    this.#recovery.stop();
    this.#stopTicking();
    this.element.release();
    this.#engine?.destroy();
    this.#engine = undefined;
  }

  duration(): number {
    if (this.#engine?.live()) return Number.POSITIVE_INFINITY;
    return Number.isNaN(this.#video.duration) ? 0 : this.#video.duration;
  }

  latency(): number {
    if (!this.#engine?.live()) return 0;
    const sync = this.#engine.syncTimeMs();
    const byClock = sync === undefined ? Number.NaN : (this.#parts.timers.now() - sync) / 1000;
    if (byClock >= 0 && byClock < LATENCY_MAX_S) return byClock;
    const edge = this.#engine.edge();
    return edge ? Math.max(0, edge.edge - this.#video.currentTime) : 0;
  }

  syncTimeMs(): number {
    return Math.round(this.#engine?.syncTimeMs() ?? 0);
  }

  #loadEngine(): void {
    if (this.#deleted || this.#url === undefined) return;
    this.#engine?.destroy();
    this.#ready = false;
    this.#session = undefined;
    this.edge.restart();
    this.#cues.restart();
    this.#playlistFinished = false;
    this.#setState(PlayerState.IDLE);
    this.#setPhase(this.#everPlayed && this.#phase !== Phase.ENDED ? Phase.RECONNECTING : Phase.CONNECTING);
    let engine: Engine | undefined;
    // News of an engine that was replaced is ignored.
    const current = (): boolean => engine !== undefined && engine === this.#engine;
    try {
      engine = this.#parts.makeEngine(
        this.#video,
        { lowLatency: this.settings.lowLatency, credentials: this.settings.credentials },
        {
          ready: (session, addresses) => current() && this.#becameReady(session, addresses),
          quality: (quality) => current() && this.#emit(PlayerEventType.QUALITY_CHANGED, quality),
          cue: (cue) => current() && this.#cues.add(cue),
          finished: () => current() && this.#finished(),
          failed: (failure) => current() && this.#failed(failure),
          log: (level, text) => this.#log(level, text),
        },
      );
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#fail({ source: "Source", type: ErrorType.NOT_SUPPORTED, code: 0, message });
      return;
    }
    this.#engine = engine;
    this.limit();
    if (this.#wantsPlay && !this.#everPlayed) this.#beacon?.wished();
    engine.load(withViewer(this.#url, this.#viewer));
    this.#tickOften();
  }

  #probe(): Promise<Probe> {
    const url = this.#url ?? "";
    return this.#parts.probe(withViewer(url, this.#viewer), this.settings.credentials).then((answer) => {
      // The answer may have spent a token: whatever is loaded next goes on as this viewer.
      if (url === this.#url) this.#viewer = viewerOf(answer.addresses) ?? this.#viewer;
      return answer;
    });
  }

  #measuring(): Beacon {
    const { timers, random, send } = this.#parts;
    return new Beacon({
      timers,
      random,
      send,
      sample: () => {
        // Of pictures that were wound back, the distance is no latency.
        const moves = this.#state === PlayerState.PLAYING && this.edge.follows && (this.#engine?.live() ?? false);
        const quality = this.#video.getVideoPlaybackQuality?.();
        return {
          playheadMs: moves ? this.#engine?.syncTimeMs() : undefined,
          latencyMs: moves ? this.latency() * 1000 : undefined,
          bitrate: this.#engine?.current()?.bitrate || undefined,
          dropped: quality?.droppedVideoFrames ?? 0,
        };
      },
    });
  }

  #becameReady(session: string, addresses: readonly string[]): void {
    this.#viewer = viewerOf(addresses) ?? this.#viewer;
    this.#beacon?.ready(beaconAddress(addresses));
    this.#recovery.ready(session);
    if (this.#ready) return;
    this.#ready = true;
    this.#session = crypto.randomUUID?.() ?? String(this.#parts.random()).slice(2);
    this.#setState(PlayerState.READY);
    if (this.#wantsPlay) this.#start();
  }

  #start(): void {
    if (this.#state !== PlayerState.PLAYING) this.#setState(PlayerState.BUFFERING);
    this.element.start();
  }

  #failed(failure: Failure): void {
    this.#log(LogLevel.WARN, `${failure.source}: ${failure.message}`);
    // The picture may go on from what is buffered; the phase follows the picture.
    this.#recovery.failed(failure);
  }

  #finished(): void {
    this.#playlistFinished = true;
    // What is buffered is still to be shown; the element says when it has been.
    if (this.#video.ended || !this.#wantsPlay) this.#recovery.ended();
  }

  /** Not playing, and nothing to play. */
  #rest(state: PlayerState, phase: Phase): void {
    this.#beacon?.unwished();
    this.#beacon?.rests();
    this.#setState(state);
    this.#setPhase(phase);
  }

  #fail(error: PlayerError): void {
    this.#recovery.stop();
    this.#beacon?.unwished();
    this.#beacon?.rests();
    this.#engine?.destroy();
    this.#engine = undefined;
    this.#ready = false;
    this.#stopTicking();
    this.#setState(PlayerState.IDLE);
    this.#setPhase(Phase.FAILED);
    this.#emit(PlayerEventType.ERROR, error);
  }

  #cue(cue: TimedCue): void {
    const { startTime, endTime, text, owner } = cue;
    this.#emit(MetadataEventType.ID3, [{ id: "PRIV", desc: owner, info: [text] }]);
    this.#emit(PlayerEventType.TEXT_METADATA_CUE, { type: "TextMetadataCue", startTime, endTime, description: "", text, owner });
  }

  get #video(): HTMLVideoElement {
    return this.element.video;
  }

  #wired(video: HTMLVideoElement): Element {
    return new Element(video, {
      moves: () => this.#moves(),
      waits: () => this.#waits(),
      paused: () => this.#paused(),
      asked: () => {
        this.#wantsPlay = true;
      },
      ended: () => this.#recovery.ended(),
      mutedChanged: () => this.#emit(PlayerEventType.MUTED_CHANGED, undefined),
      volumeChanged: (volume) => this.#emit(PlayerEventType.VOLUME_CHANGED, volume),
      durationChanged: () => this.#emit(PlayerEventType.DURATION_CHANGED, this.duration()),
      buffered: () => this.#emit(PlayerEventType.BUFFER_UPDATE, undefined),
      seeked: (position) => this.#emit(PlayerEventType.SEEK_COMPLETED, position),
      timeUpdate: () => this.#timeUpdate(),
      frame: (mediaTime) => this.#cues.advance(mediaTime),
      soundRefused: () => this.#emit(PlayerEventType.AUDIO_BLOCKED, undefined),
      playRefused: () => {
        this.#wantsPlay = false;
        this.#setState(PlayerState.IDLE);
        this.#emit(PlayerEventType.PLAYBACK_BLOCKED, undefined);
      },
    });
  }

  #moves(): void {
    if (!this.#engine || !this.#ready) return;
    const rebuffered = this.#everPlayed && this.#state === PlayerState.BUFFERING;
    this.#wantsPlay = true;
    this.#everPlayed = true;
    this.#recovery.progressed();
    this.#setState(PlayerState.PLAYING);
    this.#beacon?.moves();
    this.#setPhase(Phase.LIVE);
    if (rebuffered && this.settings.rebufferToLive) this.seekToLive();
  }

  #waits(): void {
    if (!this.#ready || !this.#wantsPlay || this.#video.ended || this.#state === PlayerState.ENDED) return;
    const wasPlaying = this.#state === PlayerState.PLAYING;
    this.#setState(PlayerState.BUFFERING);
    if (wasPlaying && !this.#video.seeking) {
      this.edge.stalled();
      this.#beacon?.stalled();
      this.#emit(PlayerEventType.REBUFFERING, undefined);
    }
    this.#recovery.stalled(() => this.#stuck());
  }

  #paused(): void {
    // The element also pauses at its end, and when an engine takes its source away.
    if (!this.#ready || this.#video.ended || this.#state === PlayerState.ENDED) return;
    if (this.#engine && this.#video.readyState === 0) return;
    this.#wantsPlay = false;
    this.#beacon?.rests();
    this.#recovery.relaxed();
    this.#setState(PlayerState.IDLE);
  }

  #timeUpdate(): void {
    this.#cues.advance();
    if (this.#state !== PlayerState.PLAYING) return;
    this.#emit(PlayerEventType.TIME_UPDATE, this.#video.currentTime);
    const sync = this.syncTimeMs();
    // Whole seconds, as IVS tells it.
    const second = Math.floor(sync / 1000);
    if (sync > 0 && second !== this.#syncSecond) {
      this.#syncSecond = second;
      this.#emit(PlayerEventType.SYNC_TIME_UPDATE, sync);
    }
  }

  #tickOften(): void {
    if (this.#ticker !== undefined) return;
    const tick = (): void => {
      this.#ticker = this.#parts.timers.set(tick, TICK_MS);
      this.#tick();
    };
    this.#ticker = this.#parts.timers.set(tick, TICK_MS);
  }

  #stopTicking(): void {
    if (this.#ticker !== undefined) this.#parts.timers.clear(this.#ticker);
    this.#ticker = undefined;
    this.#cues.stop();
  }

  #tick(): void {
    // Elements do not say "waiting" when they wait for the first picture after "canplay" was never reached.
    if (this.#state === PlayerState.BUFFERING && this.#wantsPlay) {
      this.#recovery.stalled(() => this.#stuck());
      if (this.#everPlayed && this.#video.readyState < 3) this.#setPhase(Phase.RECONNECTING);
    }
    const finding = this.edge.look({
      nowMs: this.#parts.timers.now(),
      edge: this.#engine?.edge(),
      held: this.#state === PlayerState.PLAYING && this.#rate === 1,
      waiting: this.#everPlayed && this.#state === PlayerState.BUFFERING,
      finished: this.#playlistFinished,
    });
    if (finding.kind === "ended") this.#recovery.ended();
    if (finding.kind === "left out") this.#log(LogLevel.WARN, `leaving out ${finding.seconds.toFixed(1)} s that did not come`);
  }

  /** The picture waits although there is something to play, or nobody fetches it. */
  #stuck(): boolean {
    return this.element.ahead() > 1 || (this.#engine?.quietMs() ?? 0) > QUIET_MS_MAX;
  }

  #setState(state: PlayerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#emit(state, undefined);
  }

  #setPhase(phase: Phase): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#emit(HeadwaterEventType.PHASE_CHANGED, phase);
  }

  #emit<K extends keyof EventPayloads>(name: K, payload: EventPayloads[K]): void {
    if (!this.#deleted) this.#tell(name, payload);
  }

  #log(level: LogLevel, text: string): void {
    if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.settings.logLevel)) console[level](`headwater-player: ${text}`);
  }
}
