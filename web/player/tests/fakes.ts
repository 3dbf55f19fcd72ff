// Fake media, engine and server for the player's tests. Time is vitest's fake time.

import type { Engine, EngineNews, EngineOptions, LiveEdge } from "../src/engine";
import type { Quality } from "../src/api";
import { MediaPlayer } from "../src/player";
import type { Parts } from "../src/playback";
import type { Probe } from "../src/probe";
import type { PlayerConfig } from "../src/api";

export class FakeVideo extends EventTarget {
  currentTime = 0;
  playbackRate = 1;
  paused = true;
  ended = false;
  muted = false;
  volume = 1;
  seeking = false;
  readyState = 4;
  duration = Number.POSITIVE_INFINITY;
  clientWidth = 1280;
  clientHeight = 720;
  ranges: [number, number][] = [];
  dropped = 0;
  /** What `play()` answers. */
  refusal: "nothing" | "with sound" | "always" = "nothing";

  get buffered(): TimeRanges {
    const { ranges } = this;
    return { length: ranges.length, start: (i: number) => ranges[i]![0], end: (i: number) => ranges[i]![1] };
  }

  play(): Promise<void> {
    if (this.refusal === "always" || (this.refusal === "with sound" && !this.muted)) {
      return Promise.reject(new DOMException("no gesture", "NotAllowedError"));
    }
    this.paused = false;
    return Promise.resolve();
  }

  getVideoPlaybackQuality(): { droppedVideoFrames: number } {
    return { droppedVideoFrames: this.dropped };
  }

  pause(): void {
    this.paused = true;
    this.tell("pause");
  }

  tell(name: string): void {
    this.dispatchEvent(new Event(name));
  }

  /** Plays up to `time`, telling the time as an element does. */
  playTo(time: number): void {
    this.currentTime = time;
    this.tell("timeupdate");
  }
}

export class FakeEngine implements Engine {
  readonly calls: string[] = [];
  isLive = true;
  variant: string | undefined;
  quiet = 0;
  liveEdge: LiveEdge | undefined;
  sync: number | undefined;
  levels: Quality[] = [
    { name: "360p", codecs: "avc1", bitrate: 800_000, width: 640, height: 360 },
    { name: "720p", codecs: "avc1", bitrate: 2_500_000, width: 1280, height: 720 },
  ];
  allowed: ((quality: Quality) => boolean) | undefined;
  chosen: Quality | undefined;

  constructor(
    readonly options: EngineOptions,
    readonly news: EngineNews,
  ) {}

  load(url: string): void {
    this.calls.push(`load ${url}`);
  }
  resume(): void {
    this.calls.push("resume");
  }
  recoverMedia(): void {
    this.calls.push("recoverMedia");
  }
  quietMs(): number {
    return this.quiet;
  }
  live(): boolean {
    return this.isLive;
  }
  edge(): LiveEdge | undefined {
    return this.liveEdge;
  }
  syncTimeMs(): number | undefined {
    return this.sync;
  }
  playing(): string | undefined {
    return this.variant;
  }
  qualities(): readonly Quality[] {
    return this.levels;
  }
  current(): Quality | undefined {
    return this.chosen ?? this.levels[0];
  }
  choose(quality: Quality | undefined): void {
    this.chosen = quality;
  }
  automatic(): boolean {
    return this.chosen === undefined;
  }
  limit(allowed: ((quality: Quality) => boolean) | undefined): void {
    this.allowed = allowed;
  }
  destroy(): void {
    this.calls.push("destroy");
  }
}

export const URL_MASTER = "http://web.test/api/video/v1/us-east-1.0.channel.c.m3u8";

/** Of a private channel's only variant. */
export const addresses = (session: string, viewer = "viewer"): string[] => [`http://web.test/media/v/${viewer}/${session}/source/media.m3u8`];

/** A player with everything fake, and a diary of what its listeners heard. */
export class Bench {
  readonly video = new FakeVideo();
  readonly engines: FakeEngine[] = [];
  readonly heard: string[] = [];
  readonly player: MediaPlayer;
  /** What the server answers to a probe. */
  server: Probe = { status: 200, session: "one", addresses: addresses("one") };
  /** Addresses that were asked. */
  readonly probed: string[] = [];
  /** Beacons: address and text. */
  readonly told: [string, string, string][] = [];
  /** The page is put away. */
  leave: () => void = () => {};

  constructor(config: PlayerConfig = {}) {
    const parts: Parts = {
      makeEngine: (_, options, news) => {
        const engine = new FakeEngine(options, news);
        this.engines.push(engine);
        return engine;
      },
      makeVideo: () => this.video as unknown as HTMLVideoElement,
      probe: (url) => {
        this.probed.push(url);
        return Promise.resolve(this.server);
      },
      send: (address, text, when) => void this.told.push([address, text, when]),
      leaving: (run) => {
        this.leave = run;
        return () => {
          this.leave = () => {};
        };
      },
      timers: {
        now: () => Date.now(),
        set: (run, delayMs) => setTimeout(run, delayMs) as unknown as number,
        clear: (timer) => clearTimeout(timer),
      },
      random: () => 0.5,
      version: "1.2.3",
    };
    this.player = new MediaPlayer(config, parts);
  }

  get probes(): number {
    return this.probed.length;
  }

  listen(...names: Parameters<MediaPlayer["addEventListener"]>[0][]): this {
    for (const name of names) {
      this.player.addEventListener(name, (payload: unknown) => {
        this.heard.push(payload === undefined ? name : `${name} ${typeof payload === "string" ? payload : JSON.stringify(payload)}`);
      });
    }
    return this;
  }

  get engine(): FakeEngine {
    return this.engines.at(-1)!;
  }

  /** Loaded, ready, and pictures move. */
  playing(session = "one"): this {
    this.player.load(URL_MASTER);
    this.player.play();
    this.moves(session);
    return this;
  }

  moves(session = "one"): void {
    this.engine.news.ready(session, addresses(session));
    this.video.readyState = 4;
    this.video.tell("playing");
  }

  waits(): void {
    this.video.readyState = 2;
    this.video.tell("waiting");
  }
}
