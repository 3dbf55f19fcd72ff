// The controls under the picture and the keyboard. They ask the player and show what it says; they keep no state of their own.

import { HeadwaterEventType, Phase, PlayerEventType, PlayerState, type MediaPlayer } from "../../player/src/index";
import { byId, icon, label, say } from "./page";
import { delay } from "./words";

/** Controls hide when nothing moved over the playing picture for this long. */
const IDLE_MS = 3000;
/** This near to what the stream allows counts as its edge. */
const AT_EDGE_S = 3;
const SKIP_S = 5;
const VOLUME_STEP = 0.1;
const VOLUME = "headwater.volume";

type FullScreenVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

export class Controls {
  readonly #player: MediaPlayer;
  readonly #stage = byId("stage", HTMLElement);
  readonly #frame = byId("frame", HTMLElement);
  readonly #video = byId("video", HTMLVideoElement);
  readonly #play = byId("play", HTMLButtonElement);
  readonly #mute = byId("mute", HTMLButtonElement);
  readonly #unmute = byId("unmute", HTMLButtonElement);
  readonly #begin = byId("begin", HTMLButtonElement);
  readonly #volume = byId("volume", HTMLInputElement);
  readonly #live = byId("live", HTMLButtonElement);
  readonly #latency = byId("latency", HTMLSpanElement);
  readonly #quality = byId("quality", HTMLSelectElement);
  readonly #qualityOne = byId("quality-one", HTMLSpanElement);
  readonly #full = byId("full", HTMLButtonElement);
  readonly #announce: (text: string) => void;
  #idle: number | undefined;

  constructor(player: MediaPlayer, announce: (text: string) => void) {
    this.#player = player;
    this.#announce = announce;
    const click = (button: HTMLButtonElement, run: () => void): void => button.addEventListener("click", run);
    click(this.#play, () => this.#toggle());
    click(this.#begin, () => player.play());
    click(this.#mute, () => this.#sound(player.isMuted()));
    click(this.#unmute, () => {
      this.#sound(true);
      // The button hides itself; its place in the order of focus passes to the one that undoes it.
      this.#mute.focus({ preventScroll: true });
    });
    click(this.#live, () => this.#toEdge());
    click(this.#full, () => this.#fullScreen());
    this.#volume.addEventListener("input", () => this.#loudness(this.#volume.valueAsNumber / 100));
    this.#quality.addEventListener("change", () => this.#chooseQuality());
    this.#video.addEventListener("click", () => this.#toggle());
    this.#video.addEventListener("dblclick", () => this.#fullScreen());
    document.addEventListener("fullscreenchange", () => this.#draw());
    document.addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["pointermove", "pointerdown", "focusin"] as const) this.#frame.addEventListener(name, () => this.#awake());
    this.#frame.addEventListener("pointerleave", () => this.#rest());
    for (const name of [
      ...Object.values(PlayerState),
      PlayerEventType.MUTED_CHANGED,
      PlayerEventType.VOLUME_CHANGED,
      PlayerEventType.PLAYBACK_BLOCKED,
      PlayerEventType.AUDIO_BLOCKED,
      HeadwaterEventType.PHASE_CHANGED,
    ]) {
      player.addEventListener(name, () => this.#draw());
    }
    player.addEventListener(PlayerState.READY, () => this.#drawQualities());
    player.addEventListener(PlayerEventType.QUALITY_CHANGED, () => this.#drawQualities());
    window.setInterval(() => this.#drawLatency(), 500);
    const volume = Number(remembered(VOLUME) ?? 1);
    player.setVolume(Number.isFinite(volume) ? volume : 1);
    this.#draw();
    this.#awake();
  }

  #toggle(): void {
    if (this.#player.isPaused()) this.#player.play();
    else this.#player.pause();
  }

  #sound(on: boolean): void {
    this.#player.setMuted(!on);
    if (on && this.#player.getVolume() === 0) this.#loudness(0.5);
  }

  #loudness(volume: number): void {
    const within = Math.min(1, Math.max(0, volume));
    this.#player.setVolume(within);
    this.#player.setMuted(within === 0);
    try {
      localStorage.setItem(VOLUME, String(within));
    } catch {
      // Storage is blocked on this page.
    }
  }

  #toEdge(): void {
    this.#player.play();
    this.#player.seekToLive();
    this.#announce("At the live edge");
  }

  #fullScreen(): void {
    const video: FullScreenVideo = this.#video;
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (this.#stage.requestFullscreen) void this.#stage.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.();
  }

  #chooseQuality(): void {
    const chosen = this.#player.getQualities()[Number(this.#quality.value)];
    if (chosen) this.#player.setQuality(chosen, true);
    else this.#player.setAutoQualityMode(true);
    this.#drawQualities();
  }

  #key(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    // Elements that use these keys themselves keep them.
    const used = at instanceof HTMLSelectElement || (at instanceof HTMLInputElement && event.key.startsWith("Arrow"));
    if (used || (at instanceof HTMLButtonElement && event.key === " ")) return;
    const player = this.#player;
    switch (event.key) {
      case " ":
      case "k":
        this.#toggle();
        break;
      case "m":
        this.#sound(player.isMuted());
        break;
      case "f":
        this.#fullScreen();
        break;
      case "l":
        this.#toEdge();
        break;
      case "ArrowUp":
        this.#loudness(player.getVolume() + VOLUME_STEP);
        break;
      case "ArrowDown":
        this.#loudness(player.getVolume() - VOLUME_STEP);
        break;
      case "ArrowLeft":
        player.seekTo(Math.max(player.getBuffered().start, player.getPosition() - SKIP_S));
        break;
      case "ArrowRight":
        if (player.getBufferDuration() > SKIP_S) player.seekTo(player.getPosition() + SKIP_S);
        else this.#toEdge();
        break;
      default:
        return;
    }
    event.preventDefault();
    this.#awake();
  }

  #awake(): void {
    this.#frame.dataset["idle"] = "false";
    window.clearTimeout(this.#idle);
    this.#idle = window.setTimeout(() => this.#rest(), IDLE_MS);
  }

  #rest(): void {
    const playing = this.#player.getState() === PlayerState.PLAYING;
    const used = this.#frame.querySelector(":focus-visible") !== null;
    this.#frame.dataset["idle"] = String(playing && !used);
  }

  #draw(): void {
    const player = this.#player;
    const paused = player.isPaused();
    icon(this.#play, paused ? "play" : "pause");
    label(this.#play, paused ? "Play" : "Pause");
    const silent = player.isMuted() || player.getVolume() === 0;
    icon(this.#mute, silent ? "muted" : "sound");
    label(this.#mute, silent ? "Turn sound on" : "Turn sound off");
    this.#volume.value = String(Math.round((silent ? 0 : player.getVolume()) * 100));
    const full = document.fullscreenElement !== null;
    icon(this.#full, full ? "small" : "full");
    label(this.#full, full ? "Leave full screen" : "Full screen");
    const phase = player.getPhase();
    const moving = phase === Phase.LIVE || phase === Phase.RECONNECTING;
    this.#unmute.hidden = !(moving && player.isMuted());
    this.#begin.hidden = !(paused && (moving || phase === Phase.CONNECTING));
    this.#frame.dataset["phase"] = phase;
    this.#frame.dataset["paused"] = String(paused);
    if (phase !== Phase.LIVE || paused) this.#awake();
    this.#drawLatency();
  }

  #drawLatency(): void {
    const player = this.#player;
    const live = player.getPhase() === Phase.LIVE;
    const seconds = live ? player.getLiveLatency() : 0;
    say(this.#latency, seconds > 0 ? delay(seconds) : "");
    this.#live.hidden = !live;
    this.#live.dataset["edge"] = String(!player.isPaused() && seconds < AT_EDGE_S + this.#usual());
  }

  /** `NORMAL` latency stands further back than `LOW`. */
  #usual(): number {
    return this.#player.isLiveLowLatency() ? 0 : 6;
  }

  #drawQualities(): void {
    const player = this.#player;
    const qualities = player.getQualities();
    const current = player.getQuality();
    this.#quality.hidden = qualities.length < 2;
    this.#qualityOne.hidden = qualities.length >= 2 || current.height === 0;
    say(this.#qualityOne, current.height > 0 ? `${current.height}p` : "");
    if (this.#quality.hidden) return;
    const automatic = player.isAutoQualityMode();
    const options = [
      new Option(automatic ? `Auto (${current.name})` : "Auto", "auto", automatic, automatic),
      ...qualities.map((quality, index) => {
        const chosen = !automatic && quality.name === current.name;
        return new Option(quality.name, String(index), chosen, chosen);
      }),
    ];
    this.#quality.replaceChildren(...options);
  }
}

function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
