// Playback through hls.js and Media Source, in low-latency mode.
//
// hls.js' smaller build: without separate audio and subtitle renditions, encryption and interstitials, of which a stream here has none,
// a browser has a third less of script to read before it asks for the first playlist.

import Hls, { ErrorDetails, ErrorTypes, Events, type DateRange, type ErrorData, type HlsConfig, type Level } from "hls.js/light";
import { MetadataID3Type, type Quality } from "./api";
import type { Engine, EngineNews, EngineOptions, LiveEdge } from "./engine";
import { readTag } from "./id3";
import { sessionOf } from "./probe";

/** Seconds behind the playhead that stay in memory. */
const BACK_BUFFER_S = 20;
/** Starts at a quality for a home line rather than the lowest; measured from the first parts on. */
const BANDWIDTH_GUESS_BPS = 4_000_000;
/** A part is held by the server until it exists, at most three target durations; this is well past it. */
const FIRST_BYTE_MS_MAX = 12_000;
/** Of an EXT-X-DATERANGE: the cue's payload in base64. */
export const PAYLOAD_ATTRIBUTE = "X-HEADWATER-PAYLOAD";
const ID3_OWNERS: readonly string[] = Object.values(MetadataID3Type);

export class HlsEngine implements Engine {
  readonly #hls: Hls;
  readonly #news: EngineNews;
  #limit: ((quality: Quality) => boolean) | undefined;
  #finished = false;
  #askedAt = performance.now();

  constructor(video: HTMLVideoElement, options: EngineOptions, news: EngineNews) {
    this.#news = news;
    this.#hls = new Hls(config(options, news));
    const hls = this.#hls;
    hls.on(Events.MANIFEST_PARSED, (_, data) => {
      this.#applyLimit();
      const addresses = data.levels.map((level) => level.uri);
      news.ready(sessionOf(addresses), addresses);
    });
    hls.on(Events.LEVEL_SWITCHED, (_, data) => {
      const level = hls.levels[data.level];
      if (level) news.quality(quality(level));
    });
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => {
      for (const range of Object.values(details.dateRanges)) {
        if (range && ID3_OWNERS.includes(range.class)) this.#mirrored(range);
      }
      if (!details.live && !this.#finished) {
        this.#finished = true;
        news.finished();
      }
    });
    hls.on(Events.FRAG_PARSING_METADATA, (_, data) => {
      for (const sample of data.samples) this.#parsed(sample.data, sample.pts, sample.duration);
    });
    for (const asked of [Events.MANIFEST_LOADING, Events.LEVEL_LOADING, Events.FRAG_LOADING] as const) {
      hls.on(asked, () => {
        this.#askedAt = performance.now();
      });
    }
    hls.on(Events.ERROR, (_, data) => this.#error(data));
    hls.attachMedia(video);
  }

  static supported(): boolean {
    return Hls.isSupported();
  }

  load(url: string): void {
    this.#hls.loadSource(url);
  }

  resume(): void {
    this.#hls.startLoad();
  }

  recoverMedia(): void {
    this.#hls.recoverMediaError();
    // A fatal error has stopped the loading.
    this.#hls.startLoad(this.#hls.liveSyncPosition ?? -1);
  }

  quietMs(): number {
    return performance.now() - this.#askedAt;
  }

  live(): boolean {
    return this.#hls.latestLevelDetails?.live ?? false;
  }

  edge(): LiveEdge | undefined {
    const details = this.#hls.latestLevelDetails;
    if (!details?.live) return undefined;
    const grain = details.partTarget || details.targetduration;
    const holdBack = (this.#hls.config.lowLatencyMode && details.partHoldBack) || details.holdBack || 3 * details.targetduration;
    // Without the cap, a silent encoder would look like an edge that runs away.
    return { edge: details.edge + Math.min(details.age, grain), holdBack };
  }

  syncTimeMs(): number | undefined {
    return this.#hls.playingDate?.getTime();
  }

  playing(): string | undefined {
    return this.#hls.levels[this.#hls.loadLevel]?.uri;
  }

  qualities(): readonly Quality[] {
    return this.#hls.levels.map(quality);
  }

  current(): Quality | undefined {
    const level = this.#hls.levels[this.#hls.currentLevel] ?? this.#hls.levels[this.#hls.loadLevel];
    return level && quality(level);
  }

  choose(wanted: Quality | undefined, how: "at-once" | "smoothly"): void {
    const index = wanted ? this.#index(wanted) : -1;
    if (wanted && index < 0) return;
    if (how === "at-once") this.#hls.currentLevel = index;
    else this.#hls.nextLevel = index;
  }

  automatic(): boolean {
    return this.#hls.autoLevelEnabled;
  }

  limit(allowed: ((quality: Quality) => boolean) | undefined): void {
    this.#limit = allowed;
    this.#applyLimit();
  }

  destroy(): void {
    this.#hls.destroy();
  }

  #index(wanted: Quality): number {
    const levels = this.#hls.levels.map(quality);
    return levels.findIndex((level) => level.name === wanted.name && level.bitrate === wanted.bitrate);
  }

  #applyLimit(): void {
    const levels = this.#hls.levels;
    if (levels.length === 0) return;
    let cap = -1;
    // Levels stand in rising order; the lowest is always allowed, or nothing would play.
    if (this.#limit) cap = Math.max(0, levels.findLastIndex((level) => this.#limit!(quality(level))));
    this.#hls.autoLevelCapping = cap;
  }

  #parsed(tag: Uint8Array, pts: number, duration: number): void {
    const { frames, id } = readTag(tag);
    for (const frame of frames) {
      if (!ID3_OWNERS.includes(frame.owner)) continue;
      const endTime = Number.isFinite(duration) ? pts + duration : pts;
      this.#news.cue({ id, clock: "media", startTime: pts, endTime, text: frame.text, owner: frame.owner });
    }
  }

  /** The playlist's copy of a cue: its class is the owner. */
  #mirrored({ id, class: owner, startTime, duration, attr }: DateRange): void {
    const text = base64Text(attr[PAYLOAD_ATTRIBUTE]);
    if (text === undefined) return;
    this.#news.cue({ id, clock: "date", startTime, endTime: startTime + (duration ?? 0), text, owner });
  }

  #error(data: ErrorData): void {
    const text = `${data.details}${data.response ? ` (${data.response.code})` : ""}: ${data.error.message}`;
    if (!data.fatal) {
      this.#news.log("debug", text);
      return;
    }
    this.#news.log("warn", text);
    const status = data.response?.code ?? 0;
    const network = data.type === ErrorTypes.NETWORK_ERROR;
    if (network) {
      this.#news.failed({ kind: "network", source: source(data.details), status, message: text });
    } else if (data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      this.#news.failed({ kind: "unsupported", source: "MasterPlaylist", status: 0, message: text });
    } else {
      this.#news.failed({ kind: "media", source: "Decoder", status: 0, message: text });
    }
  }
}

function config(options: EngineOptions, news: EngineNews): Partial<HlsConfig> {
  // Retries are the player's own (recovery.ts): here a failure is reported at once, and the session goes on by `startLoad`.
  const once = {
    default: { maxTimeToFirstByteMs: FIRST_BYTE_MS_MAX, maxLoadTimeMs: 30_000, timeoutRetry: null, errorRetry: null },
  };
  return {
    lowLatencyMode: options.lowLatency,
    // Both are latency.ts' business.
    maxLiveSyncPlaybackRate: 1,
    liveSyncOnStallIncrease: 0,
    // The first part's keyframe is shown as soon as it is there; edge-keeper.ts goes on to the hold-back when what lies between has come.
    // Otherwise the first picture waits for all of it, and for its decoding.
    startOnSegmentBoundary: true,
    backBufferLength: BACK_BUFFER_S,
    abrEwmaDefaultEstimate: BANDWIDTH_GUESS_BPS,
    testBandwidth: false,
    // fMP4 is handed through, so there is nothing to win, and a strict content security policy forbids blob workers.
    enableWorker: false,
    enableInterstitialPlayback: false,
    // Cues are taken from the parser's events; a hidden text track would hold them twice.
    enableDateRangeMetadataCues: false,
    enableEmsgMetadataCues: false,
    enableID3MetadataCues: false,
    manifestLoadPolicy: once,
    playlistLoadPolicy: once,
    fragLoadPolicy: once,
    // Not even an empty one otherwise: with it, each request is sent some turns of the event loop later.
    ...(options.credentials === "include" && {
      xhrSetup: (xhr: XMLHttpRequest) => {
        xhr.withCredentials = true;
      },
    }),
    debug: {
      trace: () => {},
      debug: (...words: unknown[]) => news.log("debug", words.join(" ")),
      log: (...words: unknown[]) => news.log("debug", words.join(" ")),
      info: (...words: unknown[]) => news.log("debug", words.join(" ")),
      warn: (...words: unknown[]) => news.log("info", words.join(" ")),
      error: (...words: unknown[]) => news.log("warn", words.join(" ")),
    },
  };
}

function source(details: ErrorDetails): "MasterPlaylist" | "MediaPlaylist" | "Segment" {
  if (details.startsWith("manifest")) return "MasterPlaylist";
  return details.startsWith("frag") || details.startsWith("key") ? "Segment" : "MediaPlaylist";
}

function quality(level: Level): Quality {
  const group = level.attrs["VIDEO"];
  const rate = level.frameRate > 31 ? Math.round(level.frameRate) : "";
  const name = level.name || group || (level.height ? `${level.height}p${rate}` : "audio only");
  return { name, codecs: level.attrs.CODECS ?? "", bitrate: level.bitrate, width: level.width, height: level.height };
}

/** Undefined unless it is valid base64 of UTF-8. */
export function base64Text(encoded: string | undefined): string | undefined {
  if (encoded === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
