// The player SDK: the API of IVS' web player, on hls.js, with what Headwater adds (`watch`, `beacon`, `getPhase`, `getViewerSession`,
// `seekToLive`).
//
// Left out: `registerIVSQualityPlugin` (a menu for video.js), ads (their events never fire), captions (`TEXT_CUE`, text tracks) and SEI
// messages.

import type { PlayerConfig } from "./api";
import type { Engine, EngineNews, EngineOptions } from "./engine";
import { HlsEngine } from "./hls-engine";
import { NativeEngine } from "./native-engine";
import { MediaPlayer } from "./player";
import type { Parts } from "./playback";
import { probe } from "./probe";
import { registerTech, type VideoJs } from "./videojs-tech";

export * from "./api";
export { MediaPlayer } from "./player";
export { VideoJSError } from "./videojs-tech";

declare const __PLAYER_VERSION__: string;

/** A value, not a function, as in IVS. */
export const isPlayerSupported: boolean = HlsEngine.supported() || NativeEngine.supported();

export function getVersion(): string {
  return __PLAYER_VERSION__;
}

/** Throws where neither Media Source nor the browser's own HLS is at hand: ask `isPlayerSupported` first. */
export function create(config: PlayerConfig = {}): MediaPlayer {
  if (!isPlayerSupported) throw new Error("this browser plays neither Media Source nor HLS");
  return new MediaPlayer(config, parts);
}

/** For video.js with `techOrder: ["AmazonIVS"]`. Throws a `VideoJSError` where there is no video.js. */
export function registerIVSTech(videojs: VideoJs, config: PlayerConfig = {}): void {
  registerTech(videojs, () => create(config));
}

function makeEngine(video: HTMLVideoElement, options: EngineOptions, news: EngineNews): Engine {
  return HlsEngine.supported() ? new HlsEngine(video, options, news) : new NativeEngine(video, options, news);
}

/** Without cookies. What may be the page's last word goes the way that outlives the page. A text needs no preflight. */
function send(address: string, text: string, when: "playing" | "leaving"): void {
  if (when === "leaving" && navigator.sendBeacon?.(address, text)) return;
  fetch(address, { method: "POST", body: text, credentials: "omit", keepalive: true }).catch(() => {
    // Telling is never worth a retry.
  });
}

const parts: Parts = {
  makeEngine,
  makeVideo: () => document.createElement("video"),
  probe,
  send,
  leaving: (run) => {
    const hidden = (): void => {
      if (document.visibilityState === "hidden") run();
    };
    window.addEventListener("pagehide", run);
    // Telephones put pages away without a "pagehide".
    document.addEventListener("visibilitychange", hidden);
    return () => {
      window.removeEventListener("pagehide", run);
      document.removeEventListener("visibilitychange", hidden);
    };
  },
  timers: {
    now: () => Date.now(),
    set: (run, delayMs) => window.setTimeout(run, delayMs),
    clear: (timer) => window.clearTimeout(timer),
  },
  random: Math.random,
  version: getVersion(),
};
