// The player: one media element, one engine at a time, one state that listeners see.

import {
  ErrorType,
  HeadwaterEventType,
  LogLevel,
  MetadataEventType,
  Phase,
  PlayerEventType,
  PlayerState,
  type EventPayloads,
  type LoadConfig,
  type PlayerConfig,
  type PlayerError,
  type Quality,
  type TextTrack,
} from "./api";
import { CueTimeline, type TimedCue } from "./cues";
import type { Engine, EngineNews, EngineOptions, Failure, LiveEdge } from "./engine";
import { Listeners, type Listener } from "./events";
import { LatencyHold } from "./latency";
import type { Probe } from "./probe";
import { QualityLimits } from "./limits";
import { Recovery, type Timers } from "./recovery";
import { Stall } from "./stall";

/** What a player is made of; tests hand in their own. */
export interface Parts {
  readonly makeEngine: (video: HTMLVideoElement, options: EngineOptions, news: EngineNews) => Engine;
  readonly makeVideo: () => HTMLVideoElement;
  readonly probe: (url: string, credentials: RequestCredentials) => Promise<Probe>;
  readonly timers: Timers;
  readonly random: () => number;
  readonly version: string;
}

/** Latency is looked at as often as a media element tells the time. */
const TICK_MS = 250;
/** A live stream this far behind its edge was wound back on purpose. */
const DVR_S = 8;
/** An engine that asks for nothing for this long has given up; a held-back playlist is asked for again well within it. */
const QUIET_MS_MAX = 20_000;
/** A difference of clocks beyond this is a wrong clock on one side, not latency. */
const LATENCY_MAX_S = 3600;
const LOG_LEVELS: readonly LogLevel[] = [LogLevel.DEBUG, LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR];

export class MediaPlayer {
  readonly #parts: Parts;
  readonly #listeners = new Listeners();
  readonly #recovery: Recovery;
  readonly #cues: CueTimeline;
  readonly #hold = new LatencyHold();
  readonly #watch: boolean;
  readonly #limits: QualityLimits;
  #video: HTMLVideoElement;
  #undoVideo = new AbortController();
  #engine: Engine | undefined;
  #url: string | undefined;
  #state: PlayerState = PlayerState.IDLE;
  #phase: Phase = Phase.OFFLINE;
  #ready = false;
  #wantsPlay = false;
  #everPlayed = false;
  #autoplay = false;
  #lowLatency = true;
  #rebufferToLive = false;
  #followsEdge = true;
  #rate = 1;
  #volume = 1;
  #muted = false;
  #initialBuffer = 0;
  #credentials: RequestCredentials = "same-origin";
  #logLevel: LogLevel;
  #session: string | undefined;
  #syncSecond = 0;
  readonly #stall = new Stall();
  #playlistFinished = false;
  #ticker: number | undefined;
  #cueTimer: number | undefined;
  #deleted = false;

  constructor(config: PlayerConfig, parts: Parts) {
    this.#parts = parts;
    this.#watch = config.watch ?? false;
    this.#limits = new QualityLimits(config.isQualitySupported);
    this.#logLevel = config.logLevel ?? LogLevel.ERROR;
    this.#cues = new CueTimeline((cue) => this.#cue(cue));
    this.#recovery = new Recovery(
      this.#watch,
      {
        probe: () => this.#parts.probe(this.#url ?? "", this.#credentials),
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
    this.#video = parts.makeVideo();
    this.#wire(this.#video);
    // A listener that is added right after the making still hears it.
    queueMicrotask(() => this.#emit(PlayerEventType.INITIALIZED, undefined));
  }

  addEventListener<K extends keyof EventPayloads>(name: K, listener: Listener<K>): void {
    if (!this.#deleted) this.#listeners.add(name, listener);
  }

  removeEventListener<K extends keyof EventPayloads>(name: K, listener: Listener<K>): void {
    this.#listeners.remove(name, listener);
  }

  attachHTMLVideoElement(video: HTMLVideoElement): void {
    if (this.#deleted || video === this.#video) return;
    this.#undoVideo.abort();
    this.#video = video;
    this.#muted = video.muted;
    this.#volume = video.volume;
    this.#wire(video);
    if (this.#engine && this.#url !== undefined) this.#loadEngine();
  }

  getHTMLVideoElement(): HTMLVideoElement {
    return this.#video;
  }

  load(url: string, _config?: LoadConfig | string): void {
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
    this.#url = absolute;
    if (this.#autoplay) this.#wantsPlay = true;
    this.#loadEngine();
  }

  updateLoadConfiguration(_config: LoadConfig): void {}

  play(): void {
    if (this.#deleted) return;
    this.#wantsPlay = true;
    if (this.#ready) this.#start();
  }

  pause(): void {
    if (this.#deleted) return;
    this.#wantsPlay = false;
    this.#video.pause();
    this.#recovery.relaxed();
  }

  seekTo(seconds: number): void {
    if (this.#deleted || !Number.isFinite(seconds)) return;
    const edge = this.#engine?.edge();
    this.#followsEdge = !edge || edge.edge - seconds < DVR_S;
    this.#video.currentTime = seconds;
  }

  /** Headwater's own: to the newest picture that the hold-back allows. */
  seekToLive(): void {
    const edge = this.#engine?.edge();
    if (this.#deleted || !edge) return;
    this.#followsEdge = true;
    this.#video.currentTime = Math.max(0, edge.edge - this.#holdBack(edge.holdBack) - this.#hold.extra);
  }

  delete(): void {
    if (this.#deleted) return;
    this.#deleted = true;
    this.#listeners.clear();
    this.#recovery.stop();
    this.#stopTicking();
    this.#undoVideo.abort();
    this.#engine?.destroy();
    this.#engine = undefined;
  }

  isPaused(): boolean {
    return !this.#wantsPlay;
  }

  isMuted(): boolean {
    return this.#muted;
  }

  setMuted(muted: boolean): void {
    this.#video.muted = muted;
    this.#volumeChanged();
  }

  getVolume(): number {
    return this.#volume;
  }

  setVolume(volume: number): void {
    this.#video.volume = Math.min(1, Math.max(0, volume));
    this.#volumeChanged();
  }

  isAutoplay(): boolean {
    return this.#autoplay;
  }

  setAutoplay(autoplay: boolean): void {
    this.#autoplay = autoplay;
    if (autoplay && this.#ready && !this.#wantsPlay) this.play();
  }

  getPlaybackRate(): number {
    return this.#rate;
  }

  /** Within 0.25–2. Other than 1, the distance to the live edge is not held. */
  setPlaybackRate(rate: number): void {
    const next = Math.min(2, Math.max(0.25, rate));
    if (next === this.#rate || !Number.isFinite(next)) return;
    this.#rate = next;
    this.#video.playbackRate = next;
    this.#emit(PlayerEventType.PLAYBACK_RATE_CHANGED, next);
  }

  isLiveLowLatency(): boolean {
    return this.#lowLatency && (this.#engine?.live() ?? false);
  }

  setLiveLowLatencyEnabled(enabled: boolean): void {
    if (enabled === this.#lowLatency) return;
    this.#lowLatency = enabled;
    if (this.#engine && this.#url !== undefined) this.#loadEngine();
  }

  setRebufferToLive(enabled: boolean): void {
    this.#rebufferToLive = enabled;
  }

  setRequestCredentials(credentials: RequestCredentials): void {
    this.#credentials = credentials;
  }

  /** At least this much distance is kept from the live edge; the stream's own hold-back may ask for more. */
  setInitialBufferDuration(seconds: number): void {
    this.#initialBuffer = Math.min(5, Math.max(0.1, seconds));
  }

  setLogLevel(level: LogLevel): void {
    this.#logLevel = level;
  }

  /** Seconds of media time. */
  getPosition(): number {
    return this.#video.currentTime;
  }

  getDuration(): number {
    if (this.#engine?.live()) return Number.POSITIVE_INFINITY;
    return Number.isNaN(this.#video.duration) ? 0 : this.#video.duration;
  }

  getBufferDuration(): number {
    return Math.max(0, this.getBuffered().end - this.#video.currentTime);
  }

  getBuffered(): { start: number; end: number } {
    const { buffered, currentTime } = this.#video;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) {
        return { start: buffered.start(i), end: buffered.end(i) };
      }
    }
    return { start: currentTime, end: currentTime };
  }

  /**
   * Seconds from the server's clock at the picture's arrival to this viewer's clock now, by EXT-X-PROGRAM-DATE-TIME.
   * If the clocks plainly disagree, the distance to the live edge instead.
   */
  getLiveLatency(): number {
    if (!this.#engine?.live()) return 0;
    const sync = this.#engine.syncTimeMs();
    const byClock = sync === undefined ? Number.NaN : (this.#parts.timers.now() - sync) / 1000;
    if (byClock >= 0 && byClock < LATENCY_MAX_S) return byClock;
    const edge = this.#engine.edge();
    return edge ? Math.max(0, edge.edge - this.#video.currentTime) : 0;
  }

  /** UTC milliseconds of the picture at the playhead; 0 when the stream does not say. */
  getSyncTime(): number {
    return Math.round(this.#engine?.syncTimeMs() ?? 0);
  }

  getDisplayWidth(): number {
    return this.#video.clientWidth;
  }

  getDisplayHeight(): number {
    return this.#video.clientHeight;
  }

  getState(): PlayerState {
    return this.#state;
  }

  /** Headwater's own: see `Phase`. */
  getPhase(): Phase {
    return this.#phase;
  }

  getQualities(): Quality[] {
    const known = this.#ready ? (this.#engine?.qualities() ?? []) : [];
    return known.filter((quality) => this.#limits.supports(quality));
  }

  getQuality(): Quality {
    return this.#engine?.current() ?? { name: "unknown", codecs: "", bitrate: 0, width: 0, height: 0 };
  }

  setQuality(quality: Quality, adaptive = false): void {
    this.#engine?.choose(quality, adaptive ? "smoothly" : "at-once");
  }

  isAutoQualityMode(): boolean {
    return this.#engine?.automatic() ?? true;
  }

  setAutoQualityMode(enabled: boolean): void {
    if (enabled) this.#engine?.choose(undefined, "smoothly");
    else this.#engine?.choose(this.#engine.current(), "smoothly");
  }

  setAutoMaxQuality(quality: Quality): void {
    this.#limits.quality(quality);
    this.#limit();
  }

  setAutoMaxBitrate(bitrate: number): void {
    this.#limits.bitrate(bitrate);
    this.#limit();
  }

  setAutoMaxVideoSize(width: number, height: number): void {
    this.#limits.size(width, height);
    this.#limit();
  }

  getSessionId(): string | undefined {
    return this.#session;
  }

  getChannelMetadata(): string[] {
    return [];
  }

  getVersion(): string {
    return this.#parts.version;
  }

  getTextTracks(): TextTrack[] {
    return [];
  }

  getTextTrack(): TextTrack | null {
    return null;
  }

  setTextTrack(_track: TextTrack | null): void {}

  #loadEngine(): void {
    if (this.#deleted || this.#url === undefined) return;
    this.#engine?.destroy();
    this.#ready = false;
    this.#session = undefined;
    this.#hold.reset();
    this.#cues.restart();
    this.#followsEdge = true;
    this.#playlistFinished = false;
    this.#setState(PlayerState.IDLE);
    this.#setPhase(this.#everPlayed && this.#phase !== Phase.ENDED ? Phase.RECONNECTING : Phase.CONNECTING);
    let engine: Engine | undefined;
    // News of an engine that was replaced is ignored.
    const current = (): boolean => engine !== undefined && engine === this.#engine;
    try {
      engine = this.#parts.makeEngine(
        this.#video,
        { lowLatency: this.#lowLatency, credentials: this.#credentials },
        {
          ready: (session) => current() && this.#becameReady(session),
          quality: (quality) => current() && this.#emit(PlayerEventType.QUALITY_CHANGED, quality),
          cue: (cue) => current() && this.#cueFound(cue),
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
    this.#limit();
    engine.load(this.#url);
    this.#tickOften();
  }

  #becameReady(session: string): void {
    this.#recovery.ready(session);
    if (this.#ready) return;
    this.#ready = true;
    this.#session = crypto.randomUUID?.() ?? String(this.#parts.random()).slice(2);
    this.#setState(PlayerState.READY);
    if (this.#wantsPlay) this.#start();
  }

  #start(): void {
    if (this.#state !== PlayerState.PLAYING) this.#setState(PlayerState.BUFFERING);
    const video = this.#video;
    video.play().catch((error: unknown) => {
      // "AbortError": the engine put another source in, and starts again by itself.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || video !== this.#video) return;
      if (!video.muted) {
        video.muted = true;
        this.#volumeChanged();
        this.#emit(PlayerEventType.AUDIO_BLOCKED, undefined);
        this.#start();
      } else {
        this.#wantsPlay = false;
        this.#setState(PlayerState.IDLE);
        this.#emit(PlayerEventType.PLAYBACK_BLOCKED, undefined);
      }
    });
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
    this.#setState(state);
    this.#setPhase(phase);
  }

  #fail(error: PlayerError): void {
    this.#recovery.stop();
    this.#engine?.destroy();
    this.#engine = undefined;
    this.#ready = false;
    this.#stopTicking();
    this.#setState(PlayerState.IDLE);
    this.#setPhase(Phase.FAILED);
    this.#emit(PlayerEventType.ERROR, error);
  }

  #cueFound(cue: TimedCue): void {
    this.#cues.add(cue);
    this.#advance();
  }

  #cue(cue: TimedCue): void {
    const { startTime, endTime, text, owner } = cue;
    this.#emit(MetadataEventType.ID3, [{ id: "PRIV", desc: owner, info: [text] }]);
    this.#emit(PlayerEventType.TEXT_METADATA_CUE, { type: "TextMetadataCue", startTime, endTime, description: "", text, owner });
  }

  #advance(position = this.#video.currentTime): void {
    if (this.#state !== PlayerState.PLAYING) return;
    this.#cues.advance(position);
    if (this.#cueTimer !== undefined) this.#parts.timers.clear(this.#cueTimer);
    this.#cueTimer = undefined;
    const next = this.#cues.next();
    // Elements tell the time four times a second and a hidden page has no frame callbacks: the next cue has its own timer.
    const delay = next === undefined ? Number.POSITIVE_INFINITY : ((next - position) * 1000) / this.#video.playbackRate;
    if (delay < TICK_MS) this.#cueTimer = this.#parts.timers.set(() => this.#advance(), Math.max(1, delay));
  }

  #wire(video: HTMLVideoElement): void {
    this.#undoVideo = new AbortController();
    const { signal } = this.#undoVideo;
    const on = (name: keyof HTMLMediaElementEventMap, run: () => void): void => video.addEventListener(name, run, { signal });
    on("playing", () => this.#moves());
    on("waiting", () => this.#waits());
    on("pause", () => this.#paused());
    on("play", () => {
      this.#wantsPlay = true;
    });
    on("ended", () => this.#recovery.ended());
    on("volumechange", () => this.#volumeChanged());
    on("durationchange", () => this.#emit(PlayerEventType.DURATION_CHANGED, this.getDuration()));
    on("progress", () => this.#emit(PlayerEventType.BUFFER_UPDATE, undefined));
    on("seeked", () => this.#emit(PlayerEventType.SEEK_COMPLETED, video.currentTime));
    on("timeupdate", () => this.#timeUpdate());
    const frame = (_now: number, { mediaTime }: { mediaTime: number }): void => {
      if (signal.aborted) return;
      this.#advance(Math.max(mediaTime, video.currentTime));
      video.requestVideoFrameCallback(frame);
    };
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(frame);
  }

  #moves(): void {
    if (!this.#engine || !this.#ready) return;
    const rebuffered = this.#everPlayed && this.#state === PlayerState.BUFFERING;
    this.#wantsPlay = true;
    this.#everPlayed = true;
    this.#recovery.progressed();
    this.#setState(PlayerState.PLAYING);
    this.#setPhase(Phase.LIVE);
    if (rebuffered && this.#rebufferToLive) this.seekToLive();
  }

  #waits(): void {
    if (!this.#ready || !this.#wantsPlay || this.#video.ended || this.#state === PlayerState.ENDED) return;
    const wasPlaying = this.#state === PlayerState.PLAYING;
    this.#setState(PlayerState.BUFFERING);
    if (wasPlaying && !this.#video.seeking) {
      this.#hold.stalled();
      this.#emit(PlayerEventType.REBUFFERING, undefined);
    }
    this.#recovery.stalled(() => this.#stuck());
  }

  #paused(): void {
    // The element also pauses at its end, and when an engine takes its source away.
    if (!this.#ready || this.#video.ended || this.#state === PlayerState.ENDED) return;
    if (this.#engine && this.#video.readyState === 0) return;
    this.#wantsPlay = false;
    this.#recovery.relaxed();
    this.#setState(PlayerState.IDLE);
  }

  #volumeChanged(): void {
    const { muted, volume } = this.#video;
    if (muted !== this.#muted) {
      this.#muted = muted;
      this.#emit(PlayerEventType.MUTED_CHANGED, undefined);
    }
    if (volume !== this.#volume) {
      this.#volume = volume;
      this.#emit(PlayerEventType.VOLUME_CHANGED, volume);
    }
  }

  #timeUpdate(): void {
    this.#advance();
    if (this.#state !== PlayerState.PLAYING) return;
    this.#emit(PlayerEventType.TIME_UPDATE, this.#video.currentTime);
    const sync = this.getSyncTime();
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
    for (const timer of [this.#ticker, this.#cueTimer]) if (timer !== undefined) this.#parts.timers.clear(timer);
    this.#ticker = this.#cueTimer = undefined;
  }

  #tick(): void {
    // Elements do not say "waiting" when they wait for the first picture after "canplay" was never reached.
    if (this.#state === PlayerState.BUFFERING && this.#wantsPlay) {
      this.#recovery.stalled(() => this.#stuck());
      if (this.#everPlayed && this.#video.readyState < 3) this.#setPhase(Phase.RECONNECTING);
    }
    const edge = this.#engine?.edge();
    this.#lookAtStall(edge);
    if (!edge || this.#state !== PlayerState.PLAYING || this.#rate !== 1 || !this.#followsEdge || this.#video.seeking) return;
    const { currentTime } = this.#video;
    const step = this.#hold.step({
      latency: edge.edge - currentTime,
      holdBack: this.#holdBack(edge.holdBack),
      ahead: this.getBufferDuration(),
      nowMs: this.#parts.timers.now(),
    });
    if (step.kind === "jump") this.#video.currentTime = Math.max(0, edge.edge - step.latency);
    else if (this.#video.playbackRate !== step.rate) this.#video.playbackRate = step.rate;
  }

  /** The picture waits although there is something to play, or nobody fetches it. */
  #stuck(): boolean {
    return this.getBufferDuration() > 1 || (this.#engine?.quietMs() ?? 0) > QUIET_MS_MAX;
  }

  #lookAtStall(edge: LiveEdge | undefined): void {
    const { duration, currentTime } = this.#video;
    const missed = edge && this.#followsEdge ? edge.edge - this.getBuffered().end - this.#holdBack(edge.holdBack) : undefined;
    const step = this.#stall.step({
      nowMs: this.#parts.timers.now(),
      waiting: this.#everPlayed && this.#state === PlayerState.BUFFERING,
      missed,
      toEnd: this.#playlistFinished ? duration - currentTime : undefined,
    });
    if (step === "ended") this.#recovery.ended();
    if (step !== "leave out") return;
    this.#log(LogLevel.WARN, `leaving out ${missed?.toFixed(1)} s that did not come`);
    this.seekToLive();
  }

  #holdBack(asked: number): number {
    return Math.max(asked, this.#initialBuffer);
  }

  #limit(): void {
    this.#engine?.limit(this.#limits.allowed());
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
    if (!this.#deleted) this.#listeners.emit(name, payload);
  }

  #log(level: LogLevel, text: string): void {
    if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#logLevel)) console[level](`headwater-player: ${text}`);
  }
}
