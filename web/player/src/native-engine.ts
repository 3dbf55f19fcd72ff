// Playback by the browser's own HLS (Safari on iPhone), where the page has no Media Source.

import { MetadataID3Type, type Quality } from "./api";
import type { Engine, EngineNews, EngineOptions, LiveEdge } from "./engine";
import { PAYLOAD_ATTRIBUTE, base64Text } from "./hls-engine";
import { probe } from "./probe";
import { viewerOf, withViewer } from "./viewer";

/** What Safari puts into a metadata track: an ID3 frame or an attribute of an EXT-X-DATERANGE. */
interface DataCue extends TextTrackCue {
  readonly type?: string;
  readonly value?: { readonly key?: string; readonly info?: string; readonly data?: ArrayBuffer | string };
}

const HLS_TYPE = "application/vnd.apple.mpegurl";
const ID3_OWNERS: readonly string[] = Object.values(MetadataID3Type);

export class NativeEngine implements Engine {
  readonly #video: HTMLVideoElement;
  readonly #options: EngineOptions;
  readonly #news: EngineNews;
  readonly #undo = new AbortController();
  #url = "";
  /** Cues that were handed on: a track lists them for as long as it keeps them. */
  #seen = new WeakSet<TextTrackCue>();

  constructor(video: HTMLVideoElement, options: EngineOptions, news: EngineNews) {
    this.#video = video;
    this.#options = options;
    this.#news = news;
    const { signal } = this.#undo;
    video.addEventListener("error", () => this.#failed(), { signal });
    video.addEventListener("timeupdate", () => this.#collect(), { signal });
    video.addEventListener("ended", () => news.finished(), { signal });
    video.textTracks.addEventListener(
      "addtrack",
      ({ track }) => {
        // "hidden" loads cues without showing them; "disabled", the default, does not.
        if (track?.kind === "metadata") track.mode = "hidden";
      },
      { signal },
    );
  }

  static supported(): boolean {
    return typeof document !== "undefined" && document.createElement("video").canPlayType(HLS_TYPE) !== "";
  }

  load(url: string): void {
    this.#url = url;
    // The element's error has no HTTP status, so the playlist is asked for first.
    void probe(url, this.#options.credentials).then((answer) => {
      if (this.#undo.signal.aborted || this.#url !== url) return;
      if (answer.status !== 200) {
        const message = answer.status === 0 ? "the playlist could not be loaded" : `the playlist was answered ${answer.status}`;
        this.#news.failed({ kind: "network", source: "MasterPlaylist", status: answer.status, message });
        return;
      }
      // As the viewer that the first answer named: a token may be for one use.
      this.#video.src = withViewer(url, viewerOf(answer.addresses));
      this.#news.ready(answer.session, answer.addresses);
    });
  }

  resume(): void {
    this.load(this.#url);
  }

  recoverMedia(): void {
    this.load(this.#url);
  }

  /** The browser asks, and does not tell. */
  quietMs(): number {
    return 0;
  }

  live(): boolean {
    return this.#video.duration === Number.POSITIVE_INFINITY;
  }

  /** The browser keeps its own distance. */
  edge(): LiveEdge | undefined {
    return undefined;
  }

  syncTimeMs(): number | undefined {
    const start = (this.#video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime();
    return start === undefined || Number.isNaN(start) ? undefined : start + this.#video.currentTime * 1000;
  }

  playing(): string | undefined {
    return undefined;
  }

  /** The browser chooses, and does not tell. */
  qualities(): readonly Quality[] {
    return [];
  }

  current(): Quality | undefined {
    const { videoWidth: width, videoHeight: height } = this.#video;
    return height > 0 ? { name: `${height}p`, codecs: "", bitrate: 0, width, height } : undefined;
  }

  choose(): void {}

  automatic(): boolean {
    return true;
  }

  limit(): void {}

  destroy(): void {
    this.#undo.abort();
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #collect(): void {
    for (const track of this.#video.textTracks) {
      if (track.kind !== "metadata") continue;
      if (track.mode === "disabled") track.mode = "hidden";
      // The cues of one EXT-X-DATERANGE come apart, an attribute each; its text is in one of them.
      for (const cue of track.cues ?? []) {
        if (this.#seen.has(cue)) continue;
        this.#seen.add(cue);
        this.#cue(cue as DataCue);
      }
    }
  }

  #cue({ id, startTime, endTime, value }: DataCue): void {
    const end = Number.isFinite(endTime) ? endTime : startTime;
    if (value?.key === "PRIV" && value.data instanceof ArrayBuffer && ID3_OWNERS.includes(value.info ?? "")) {
      const text = new TextDecoder("utf-8").decode(value.data);
      this.#news.cue({ id: undefined, clock: "media", startTime, endTime: end, text, owner: value.info! });
    } else if (value?.key === PAYLOAD_ATTRIBUTE && typeof value.data === "string") {
      const text = base64Text(value.data);
      const owner = MetadataID3Type.METADATA_ID;
      if (text === undefined) return;
      this.#news.cue({ id: id || undefined, clock: "date", startTime, endTime: end, text, owner });
    }
  }

  #failed(): void {
    const error = this.#video.error;
    const message = error?.message || `media error ${error?.code ?? 0}`;
    if (error?.code === MediaError.MEDIA_ERR_DECODE) {
      this.#news.failed({ kind: "media", source: "Decoder", status: 0, message });
    } else {
      this.#news.failed({ kind: "network", source: "Segment", status: 0, message });
    }
  }
}
