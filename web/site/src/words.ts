// What the page says, in one place.

import { ErrorType, Phase, type PlayerError } from "../../player/src/api";

export interface Words {
  /** Short, for the badge and the screen reader. */
  readonly badge: string;
  /** For the picture's place; empty where the picture speaks for itself. */
  readonly title: string;
  readonly hint: string;
}

const PHASES: Record<Phase, Words> = {
  [Phase.OFFLINE]: {
    badge: "Offline",
    title: "The stream has not started yet",
    hint: "Stay here: it begins on this page by itself.",
  },
  [Phase.CONNECTING]: { badge: "Connecting", title: "Connecting…", hint: "" },
  [Phase.LIVE]: { badge: "Live", title: "", hint: "" },
  [Phase.RECONNECTING]: {
    badge: "Reconnecting",
    title: "Reconnecting…",
    hint: "The picture was interrupted. It goes on by itself.",
  },
  [Phase.ENDED]: {
    badge: "Ended",
    title: "The stream has ended",
    hint: "Thank you for watching. If it starts again, so does this page.",
  },
  [Phase.FAILED]: { badge: "Stopped", title: "The stream cannot be played", hint: "" },
};

export function words(phase: Phase, error?: PlayerError): Words {
  if (phase !== Phase.FAILED || !error) return PHASES[phase];
  if (error.type === ErrorType.AUTHORIZATION) {
    return { badge: "Not allowed", title: "You may not watch this stream", hint: "Ask whoever gave you the address for a new one." };
  }
  if (error.type === ErrorType.NOT_SUPPORTED) {
    return {
      badge: "Not supported",
      title: "This browser cannot play the stream",
      hint: "A current Firefox, Chrome, Edge or Safari can.",
    };
  }
  return { ...PHASES[Phase.FAILED], hint: `${error.source}: ${error.type}${error.code ? ` (${error.code})` : ""}` };
}

/** One decimal below ten seconds, where it says something. */
export function delay(seconds: number): string {
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s delay`;
}

export function answersCounted(total: number): string {
  return total === 1 ? "1 answer" : `${total.toLocaleString("en")} answers`;
}
