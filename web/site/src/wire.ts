// Talks to the server about questions: hears of them over server-sent events, and delivers an answer until it is acknowledged.

import { Backoff } from "../../player/src/backoff";
import { parsePoll, parseTally, type Poll, type Tally } from "./question";

export interface Hearing {
  poll(poll: Poll | null): void;
  tally(tally: Tally): void;
}

export interface Wires {
  readonly events: (url: string) => EventSource;
  readonly fetch: typeof fetch;
  readonly wait: (delayMs: number) => Promise<void>;
  readonly random: () => number;
  /** The viewer session, which a private channel wants to see. */
  readonly session?: () => string | undefined;
}

/** With the viewer session that is good now. */
function admitted(address: string, { session }: Wires): string {
  const viewer = session?.();
  return viewer === undefined ? address : `${address}?session=${encodeURIComponent(viewer)}`;
}

export const browserWires: Wires = {
  events: (url) => new EventSource(url),
  fetch: (...request) => fetch(...request),
  wait: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
  random: Math.random,
};

/** Hears what is asked on a channel, and goes on hearing through losses. Returns the way to stop. */
export function hear(interactUrl: string, channelId: string, hearing: Hearing, wires: Wires = browserWires): () => void {
  const address = `${interactUrl}/channels/${encodeURIComponent(channelId)}/events`;
  const backoff = new Backoff(1000, 15_000, wires.random);
  let source: EventSource | undefined;
  let stopped = false;
  const open = (): void => {
    if (stopped) return;
    source = wires.events(admitted(address, wires));
    source.addEventListener("open", () => backoff.reset());
    source.addEventListener("poll", (event) => {
      const poll = parsePoll(parsed(event));
      if (poll !== undefined) hearing.poll(poll);
    });
    source.addEventListener("tally", (event) => {
      const tally = parseTally(parsed(event));
      if (tally) hearing.tally(tally);
    });
    source.addEventListener("error", () => {
      // The browser comes back by itself from a lost connection, and gives up after a refusal (a proxy's 502).
      if (!source || source.readyState !== source.CLOSED) return;
      source.close();
      void wires.wait(backoff.nextMs()).then(open);
    });
  };
  open();
  return () => {
    stopped = true;
    source?.close();
  };
}

function parsed(event: Event): unknown {
  try {
    return JSON.parse((event as MessageEvent<string>).data);
  } catch {
    return undefined;
  }
}

export type Delivery =
  /** Stored. `choice` is the answer that stands: the viewer's first one. */
  | { readonly kind: "stored"; readonly choice: number; readonly tally: Tally }
  | { readonly kind: "closed" }
  | { readonly kind: "refused"; readonly status: number };

export interface AnswerToSend {
  readonly poll: string;
  readonly viewer: string;
  readonly choice: number;
  /** UTC, ms, of the picture that the viewer saw; 0 if unknown. */
  readonly playheadMs: number;
}

/** Sends the same answer until the server has said what became of it. The viewer's id makes repeats harmless. */
export async function deliver(interactUrl: string, answer: AnswerToSend, wires: Wires = browserWires): Promise<Delivery> {
  const address = `${interactUrl}/polls/${encodeURIComponent(answer.poll)}/answers`;
  const backoff = new Backoff(500, 10_000, wires.random);
  const body = JSON.stringify({
    viewer: answer.viewer,
    choice: answer.choice,
    ...(answer.playheadMs > 0 && { playhead: new Date(answer.playheadMs).toISOString() }),
  });
  for (;;) {
    try {
      const reply = await wires.fetch(admitted(address, wires), { method: "POST", headers: { "content-type": "application/json" }, body });
      if (reply.ok) {
        const value: unknown = await reply.json();
        const tally = parseTally(value);
        const choice = (value as { choice?: unknown } | null)?.choice;
        if (tally && typeof choice === "number") return { kind: "stored", choice, tally: { ...tally, id: answer.poll } };
      } else if (reply.status === 409) {
        return { kind: "closed" };
      } else if (reply.status >= 400 && reply.status < 500 && reply.status !== 408 && reply.status !== 429) {
        return { kind: "refused", status: reply.status };
      }
    } catch {
      // No answer: the next attempt tells.
    }
    await wires.wait(backoff.nextMs());
  }
}
