// The media element of a player: its events, its sound, what it has buffered, and its start under the browser's rules for sound.

export interface ElementNews {
  /** Pictures move. */
  moves(): void;
  waits(): void;
  paused(): void;
  /** Somebody asked it to play, the player or the page. */
  asked(): void;
  ended(): void;
  mutedChanged(): void;
  volumeChanged(volume: number): void;
  durationChanged(): void;
  buffered(): void;
  seeked(position: number): void;
  timeUpdate(): void;
  /** A picture of this media time is on the screen or about to be. */
  frame(mediaTime: number): void;
  /** The browser forbade sound; it was turned off, and play begins without. */
  soundRefused(): void;
  /** The browser forbade to play at all. */
  playRefused(): void;
}

/** Seconds of grace before a buffered range: decoders begin at a picture, ranges at a rounded time. */
const RANGE_GRACE_S = 0.1;

export class Element {
  readonly #news: ElementNews;
  #video: HTMLVideoElement;
  #undo = new AbortController();
  #muted = false;
  #volume = 1;

  constructor(video: HTMLVideoElement, news: ElementNews) {
    this.#news = news;
    this.#video = video;
    this.#wire();
  }

  get video(): HTMLVideoElement {
    return this.#video;
  }

  get muted(): boolean {
    return this.#muted;
  }

  get volume(): number {
    return this.#volume;
  }

  replace(video: HTMLVideoElement): void {
    this.release();
    this.#video = video;
    this.#muted = video.muted;
    this.#volume = video.volume;
    this.#wire();
  }

  release(): void {
    this.#undo.abort();
  }

  setMuted(muted: boolean): void {
    this.#video.muted = muted;
    this.#soundChanged();
  }

  setVolume(volume: number): void {
    this.#video.volume = Math.min(1, Math.max(0, volume));
    this.#soundChanged();
  }

  start(): void {
    const video = this.#video;
    video.play().catch((error: unknown) => {
      // "AbortError": the engine put another source in, and starts again by itself.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || video !== this.#video) return;
      if (video.muted) return this.#news.playRefused();
      this.setMuted(true);
      this.#news.soundRefused();
      this.start();
    });
  }

  /** The buffered range around the playhead. */
  buffered(): { start: number; end: number } {
    const { buffered, currentTime } = this.#video;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime + RANGE_GRACE_S && currentTime <= buffered.end(i)) {
        return { start: buffered.start(i), end: buffered.end(i) };
      }
    }
    return { start: currentTime, end: currentTime };
  }

  /** Seconds that are buffered ahead of the playhead. */
  ahead(): number {
    return Math.max(0, this.buffered().end - this.#video.currentTime);
  }

  #wire(): void {
    this.#undo = new AbortController();
    const { signal } = this.#undo;
    const [video, news] = [this.#video, this.#news];
    const on = (name: keyof HTMLMediaElementEventMap, run: () => void): void => video.addEventListener(name, run, { signal });
    on("playing", () => news.moves());
    on("waiting", () => news.waits());
    on("pause", () => news.paused());
    on("play", () => news.asked());
    on("ended", () => news.ended());
    on("volumechange", () => this.#soundChanged());
    on("durationchange", () => news.durationChanged());
    on("progress", () => news.buffered());
    on("seeked", () => news.seeked(video.currentTime));
    on("timeupdate", () => news.timeUpdate());
    const frame = (_now: number, { mediaTime }: { mediaTime: number }): void => {
      if (signal.aborted) return;
      news.frame(mediaTime);
      video.requestVideoFrameCallback(frame);
    };
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(frame);
  }

  #soundChanged(): void {
    const { muted, volume } = this.#video;
    if (muted !== this.#muted) {
      this.#muted = muted;
      this.#news.mutedChanged();
    }
    if (volume !== this.#volume) {
      this.#volume = volume;
      this.#news.volumeChanged(volume);
    }
  }
}
