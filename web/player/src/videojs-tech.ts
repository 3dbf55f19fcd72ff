// A video.js technology: video.js' controls over this player, under the names that IVS' player SDK gives it.

import { ErrorType, PlayerEventType, PlayerState, type PlayerError } from "./api";
import type { MediaPlayer } from "./player";

const TECH = "AmazonIVS";
const HLS_TYPE = /^(?:application|audio)\/(?:x-|vnd\.apple\.)mpegurl$/i;

/** What is used of video.js 7.6.6 and later. */
export interface VideoJs {
  getTech(name: "Html5"): Html5Class;
  registerTech(name: string, tech: unknown): void;
  registerPlugin(name: string, plugin: (this: VideoJsPlayer) => unknown): void;
}

interface VideoJsPlayer {
  tech(known: true): unknown;
}

interface TechOptions {
  readonly source?: { readonly src: string } | undefined;
}

interface Html5 {
  el(): HTMLVideoElement;
  trigger(event: string): void;
  dispose(): void;
}

interface Html5Class {
  new (options: TechOptions, ready?: () => void): Html5;
}

/** `code` 1: there is no video.js. */
export class VideoJSError extends Error {
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** Makes `techOrder: ["AmazonIVS"]` known to video.js, and gives its players `getIVSPlayer()` and `getIVSEvents()`. */
export function registerTech(videojs: VideoJs | undefined, create: () => MediaPlayer): void {
  if (typeof videojs?.getTech !== "function") throw new VideoJSError("video.js is not loaded", 1);
  const Tech = techOn(videojs.getTech("Html5"), create);
  videojs.registerTech(TECH, Tech);
  videojs.registerPlugin("getIVSPlayer", function () {
    const tech = this.tech(true);
    return tech instanceof Tech ? tech.ivs : undefined;
  });
  videojs.registerPlugin("getIVSEvents", () => ({ PlayerEventType, PlayerState, ErrorType }));
}

function techOn(Base: Html5Class, create: () => MediaPlayer) {
  return class IvsTech extends Base {
    readonly ivs: MediaPlayer;
    #source = "";
    #error: { code: number; message: string } | null = null;

    constructor(options: TechOptions, ready?: () => void) {
      // The element must not get the playlist as its own source.
      super({ ...options, source: undefined }, ready);
      this.ivs = create();
      this.ivs.attachHTMLVideoElement(this.el());
      this.ivs.addEventListener(PlayerEventType.ERROR, (error) => this.#failed(error));
      if (options.source) this.src(options.source.src);
    }

    static isSupported(): boolean {
      return true;
    }

    static canPlayType(type: string): "" | "maybe" {
      return HLS_TYPE.test(type) ? "maybe" : "";
    }

    static canPlaySource(source: { readonly type?: string }): "" | "maybe" {
      return IvsTech.canPlayType(source.type ?? "");
    }

    /** video.js reads the address by the same method. */
    src(address?: string): string | undefined {
      if (address === undefined) return this.#source;
      this.#source = address;
      this.#error = null;
      this.ivs.load(address);
      return undefined;
    }

    currentSrc(): string {
      return this.#source;
    }

    /** Whoever sets a source has loaded it. */
    load(): void {}

    /** A live stream goes on at its edge, not where it was left. */
    play(): Promise<void> {
      this.ivs.play();
      if (this.ivs.getState() !== PlayerState.PLAYING) this.ivs.seekToLive();
      return Promise.resolve();
    }

    pause(): void {
      this.ivs.pause();
    }

    currentTime(): number {
      return this.ivs.getPosition();
    }

    setCurrentTime(seconds: number): void {
      this.ivs.seekTo(seconds);
    }

    duration(): number {
      return this.ivs.getDuration();
    }

    /** The element's own rate is how latency is held, and is not told. */
    playbackRate(): number {
      return this.ivs.getPlaybackRate();
    }

    setPlaybackRate(rate: number): void {
      if (this.ivs.getDuration() !== Number.POSITIVE_INFINITY) this.ivs.setPlaybackRate(rate);
    }

    error(): { code: number; message: string } | null {
      return this.#error;
    }

    override dispose(): void {
      this.ivs.delete();
      super.dispose();
    }

    #failed({ type, message }: PlayerError): void {
      this.#error = { code: mediaErrorCode(type), message };
      this.trigger("error");
    }
  };
}

/** HTML's codes, which video.js shows a sentence for. */
function mediaErrorCode(type: ErrorType): number {
  if (type === ErrorType.INVALID_DATA) return MediaError.MEDIA_ERR_DECODE;
  if (type === ErrorType.NETWORK || type === ErrorType.NETWORK_IO || type === ErrorType.TIMEOUT) return MediaError.MEDIA_ERR_NETWORK;
  return MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED;
}
