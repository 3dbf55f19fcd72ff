// The player as pages see it: the methods of IVS' web player, with what Headwater adds.

import {
  PlayerEventType,
  type EventPayloads,
  type LoadConfig,
  type LogLevel,
  type Phase,
  type PlayerConfig,
  type PlayerState,
  type Quality,
  type TextTrack,
} from "./api";
import { Listeners, type Listener } from "./events";
import { Playback, type Parts } from "./playback";

export class MediaPlayer {
  readonly #listeners = new Listeners();
  readonly #playback: Playback;
  readonly #version: string;

  constructor(config: PlayerConfig, parts: Parts) {
    this.#version = parts.version;
    this.#playback = new Playback(config, parts, (name, payload) => this.#listeners.emit(name, payload));
    // A listener that is added right after the making still hears it.
    queueMicrotask(() => this.#listeners.emit(PlayerEventType.INITIALIZED, undefined));
  }

  addEventListener<K extends keyof EventPayloads>(name: K, listener: Listener<K>): void {
    if (!this.#playback.deleted) this.#listeners.add(name, listener);
  }

  removeEventListener<K extends keyof EventPayloads>(name: K, listener: Listener<K>): void {
    this.#listeners.remove(name, listener);
  }

  attachHTMLVideoElement(video: HTMLVideoElement): void {
    if (this.#playback.deleted || video === this.#playback.element.video) return;
    this.#playback.element.replace(video);
    this.#playback.renew();
  }

  getHTMLVideoElement(): HTMLVideoElement {
    return this.#playback.element.video;
  }

  load(url: string, _config?: LoadConfig | string): void {
    this.#playback.load(url);
  }

  updateLoadConfiguration(_config: LoadConfig): void {}

  play(): void {
    this.#playback.play();
  }

  pause(): void {
    this.#playback.pause();
  }

  seekTo(seconds: number): void {
    this.#playback.seekTo(seconds);
  }

  /** Headwater's own: to the newest picture that the hold-back allows. */
  seekToLive(): void {
    this.#playback.seekToLive();
  }

  delete(): void {
    if (this.#playback.deleted) return;
    this.#listeners.clear();
    this.#playback.delete();
  }

  isPaused(): boolean {
    return !this.#playback.wantsPlay;
  }

  isMuted(): boolean {
    return this.#playback.element.muted;
  }

  setMuted(muted: boolean): void {
    this.#playback.element.setMuted(muted);
  }

  getVolume(): number {
    return this.#playback.element.volume;
  }

  setVolume(volume: number): void {
    this.#playback.element.setVolume(volume);
  }

  isAutoplay(): boolean {
    return this.#playback.settings.autoplay;
  }

  setAutoplay(autoplay: boolean): void {
    const playback = this.#playback;
    playback.settings.autoplay = autoplay;
    if (autoplay && playback.ready && !playback.wantsPlay) playback.play();
  }

  getPlaybackRate(): number {
    return this.#playback.rate;
  }

  /** Within 0.25–2. Other than 1, the distance to the live edge is not held. */
  setPlaybackRate(rate: number): void {
    this.#playback.setRate(rate);
  }

  isLiveLowLatency(): boolean {
    return this.#playback.settings.lowLatency && (this.#playback.engine?.live() ?? false);
  }

  setLiveLowLatencyEnabled(enabled: boolean): void {
    if (enabled === this.#playback.settings.lowLatency) return;
    this.#playback.settings.lowLatency = enabled;
    this.#playback.renew();
  }

  setRebufferToLive(enabled: boolean): void {
    this.#playback.settings.rebufferToLive = enabled;
  }

  setRequestCredentials(credentials: RequestCredentials): void {
    this.#playback.settings.credentials = credentials;
  }

  /** At least this much distance is kept from the live edge; the stream's own hold-back may ask for more. */
  setInitialBufferDuration(seconds: number): void {
    this.#playback.edge.keepAtLeast(Math.min(5, Math.max(0.1, seconds)));
  }

  setLogLevel(level: LogLevel): void {
    this.#playback.settings.logLevel = level;
  }

  /** Seconds of media time. */
  getPosition(): number {
    return this.#playback.element.video.currentTime;
  }

  getDuration(): number {
    return this.#playback.duration();
  }

  getBufferDuration(): number {
    return this.#playback.element.ahead();
  }

  getBuffered(): { start: number; end: number } {
    return this.#playback.element.buffered();
  }

  /**
   * Seconds from the server's clock at the picture's arrival to this viewer's clock now, by EXT-X-PROGRAM-DATE-TIME.
   * If the clocks plainly disagree, the distance to the live edge instead.
   */
  getLiveLatency(): number {
    return this.#playback.latency();
  }

  /** UTC milliseconds of the picture at the playhead; 0 when the stream does not say. */
  getSyncTime(): number {
    return this.#playback.syncTimeMs();
  }

  getDisplayWidth(): number {
    return this.#playback.element.video.clientWidth;
  }

  getDisplayHeight(): number {
    return this.#playback.element.video.clientHeight;
  }

  getState(): PlayerState {
    return this.#playback.state;
  }

  /** Headwater's own: see `Phase`. */
  getPhase(): Phase {
    return this.#playback.phase;
  }

  getQualities(): Quality[] {
    const known = this.#playback.ready ? (this.#playback.engine?.qualities() ?? []) : [];
    return known.filter((quality) => this.#playback.limits.supports(quality));
  }

  getQuality(): Quality {
    return this.#playback.engine?.current() ?? { name: "unknown", codecs: "", bitrate: 0, width: 0, height: 0 };
  }

  setQuality(quality: Quality, adaptive = false): void {
    this.#playback.engine?.choose(quality, adaptive ? "smoothly" : "at-once");
  }

  isAutoQualityMode(): boolean {
    return this.#playback.engine?.automatic() ?? true;
  }

  setAutoQualityMode(enabled: boolean): void {
    if (enabled) this.#playback.engine?.choose(undefined, "smoothly");
    else this.#playback.engine?.choose(this.#playback.engine.current(), "smoothly");
  }

  setAutoMaxQuality(quality: Quality): void {
    this.#playback.limits.quality(quality);
    this.#playback.limit();
  }

  setAutoMaxBitrate(bitrate: number): void {
    this.#playback.limits.bitrate(bitrate);
    this.#playback.limit();
  }

  setAutoMaxVideoSize(width: number, height: number): void {
    this.#playback.limits.size(width, height);
    this.#playback.limit();
  }

  getSessionId(): string | undefined {
    return this.#playback.session;
  }

  /**
   * Headwater's own: the viewer session as the server named it, from READY on. Whoever has it may watch this broadcast: it belongs into
   * `?session=` of what goes on around a private stream, and into no log.
   */
  getViewerSession(): string | undefined {
    return this.#playback.viewer;
  }

  getChannelMetadata(): string[] {
    return [];
  }

  getVersion(): string {
    return this.#version;
  }

  getTextTracks(): TextTrack[] {
    return [];
  }

  getTextTrack(): TextTrack | null {
    return null;
  }

  setTextTrack(_track: TextTrack | null): void {}
}
