// Puts the viewer site together: configuration, player, controls, questions, words.

import { HeadwaterEventType, Phase, PlayerEventType, PlayerState, create, isPlayerSupported } from "../../player/src/index";
import type { MediaPlayer, PlayerError } from "../../player/src/index";
import { Admission, withoutToken } from "./admission";
import { Asking } from "./asking";
import { parseConfig, type SiteConfig } from "./config";
import { Controls } from "./controls";
import { Memory } from "./memory";
import { byId, say } from "./page";
import { PollView } from "./poll-view";
import { parseCue } from "./question";
import { browserWires, deliver, hear, type Hearing, type Wires } from "./wire";
import { words } from "./words";

/** How often a question is looked for whose cue did not come. */
const CHECK_MS = 500;
/** The configuration comes from the server that brought this page, so it is there soon or the server is being restarted. */
const CONFIG_RETRY_MS = 2000;

const status = byId("status", HTMLParagraphElement);

function announce(text: string): void {
  status.textContent = text;
}

function tell(phase: Phase, error?: PlayerError): void {
  const { badge, title, hint } = words(phase, error);
  byId("badge", HTMLParagraphElement).dataset["phase"] = phase;
  say(byId("badge-text", HTMLSpanElement), badge);
  say(byId("message-title", HTMLParagraphElement), title);
  say(byId("message-hint", HTMLParagraphElement), hint);
  byId("message", HTMLDivElement).hidden = title === "";
  byId("again", HTMLButtonElement).hidden = phase !== Phase.FAILED;
  byId("frame", HTMLElement).dataset["phase"] = phase;
  announce([title || badge, hint].filter(Boolean).join(". "));
}

async function configuration(): Promise<SiteConfig> {
  for (;;) {
    try {
      const answer = await fetch("./config.json");
      if (answer.ok) return parseConfig(await answer.json(), new URL(location.href));
    } catch (error) {
      console.warn("headwater: config.json", error);
    }
    await new Promise((resolve) => setTimeout(resolve, CONFIG_RETRY_MS));
  }
}

function questions(player: MediaPlayer, config: SiteConfig): void {
  const wires: Wires = { ...browserWires, session: () => player.getViewerSession() };
  const view = new PollView((choice) => asking.answer(choice), announce);
  const asking = new Asking({
    memory: new Memory(),
    deliver: (answer) => deliver(config.interactUrl, answer, wires),
    playheadMs: () => (player.getPhase() === Phase.LIVE ? player.getSyncTime() : 0),
    show: (shown) => view.show(shown),
    later: (run, delayMs) => window.setTimeout(run, delayMs),
  });
  player.addEventListener(PlayerEventType.TEXT_METADATA_CUE, (cue) => {
    const question = parseCue(cue.text);
    if (question) asking.cue(question, cue.startTime);
  });
  const hearing: Hearing = { poll: (poll) => asking.heard(poll), tally: (tally) => asking.tally(tally) };
  // A private channel's questions are for its viewers; nobody is one before the player is let in.
  let hears = false;
  player.addEventListener(PlayerState.READY, () => {
    if (!hears) hear(config.interactUrl, config.channelId, hearing, wires);
    hears = true;
  });
  window.setInterval(() => asking.check(), CHECK_MS);
}

async function main(): Promise<void> {
  tell(Phase.CONNECTING);
  const config = await configuration();
  document.title = config.title;
  say(byId("title", HTMLHeadingElement), config.title);
  if (!isPlayerSupported) {
    tell(Phase.FAILED, { source: "Source", type: "ErrorNotSupported", code: 0, message: "" });
    return;
  }
  const page = new URL(location.href);
  const admission = new Admission(page, config.playbackUrl, config.channelId);
  if (page.searchParams.has("token")) history.replaceState(null, "", withoutToken(page));
  const player = create({ watch: true });
  player.addEventListener(PlayerState.READY, () => admission.became(player.getViewerSession()));
  player.attachHTMLVideoElement(byId("video", HTMLVideoElement));
  let failure: PlayerError | undefined;
  player.addEventListener(PlayerEventType.ERROR, (error) => {
    failure = error;
    tell(player.getPhase(), failure);
  });
  player.addEventListener(HeadwaterEventType.PHASE_CHANGED, (phase) => tell(phase, failure));
  player.addEventListener(PlayerState.IDLE, () => {
    if (player.isPaused() && player.getPhase() === Phase.LIVE) announce("Paused");
  });
  const start = (): void => {
    failure = undefined;
    player.play();
    player.load(admission.url());
  };
  // Muted, so that browsers let it begin by itself; the sound is one press away.
  player.setMuted(true);
  // First of all, so that the playlist is on its way while the rest is put together.
  start();
  byId("again", HTMLButtonElement).addEventListener("click", start);
  new Controls(player, announce);
  questions(player, config);
}

void main();
