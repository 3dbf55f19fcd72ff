import { expect, test } from "vitest";
import { deliver, hear, type Hearing, type Wires } from "../src/wire";

class FakeSource extends EventTarget {
  readonly CLOSED = 2;
  readyState = 1;
  closed = false;
  constructor(readonly url: string) {
    super();
  }
  close(): void {
    this.closed = true;
  }
  send(name: string, data: string): void {
    this.dispatchEvent(new MessageEvent(name, { data }));
  }
}

function wires(...replies: (Response | Error)[]): Wires & { sources: FakeSource[]; requests: { url: string; body: unknown }[]; pauses: number[] } {
  const sources: FakeSource[] = [];
  const requests: { url: string; body: unknown }[] = [];
  const pauses: number[] = [];
  return {
    sources,
    requests,
    pauses,
    events: (url) => {
      const source = new FakeSource(url);
      sources.push(source);
      return source as unknown as EventSource;
    },
    fetch: (url, init) => {
      requests.push({ url: String(url), body: JSON.parse(String(init?.body)) });
      const reply = replies.shift();
      if (!reply) throw new Error("one request too many");
      return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
    },
    wait: (delayMs) => {
      pauses.push(delayMs);
      return Promise.resolve();
    },
    random: () => 1,
  };
}

const answer = { poll: "st-1:7", viewer: "abcdef0123", choice: 1, playheadMs: Date.parse("2026-01-01T00:00:00Z") };
const json = (status: number, value: unknown): Response => new Response(JSON.stringify(value), { status });

test("an answer is repeated, the same, until the server acknowledges it", async () => {
  const w = wires(new TypeError("refused"), json(503, {}), json(429, {}), json(200, { choice: 1, counted: true, tally: [0, 1], total: 1 }));
  expect(await deliver("http://w/interact/v1", answer, w)).toEqual({ kind: "stored", choice: 1, tally: { id: "st-1:7", tally: [0, 1], total: 1 } });
  expect(w.requests).toHaveLength(4);
  expect(new Set(w.requests.map((request) => JSON.stringify(request))).size).toBe(1);
  expect(w.requests[0]).toEqual({
    url: "http://w/interact/v1/polls/st-1%3A7/answers",
    body: { viewer: "abcdef0123", choice: 1, playhead: "2026-01-01T00:00:00.000Z" },
  });
  expect(w.pauses).toEqual([500, 1000, 2000]);
});

test("a reply that is no acknowledgement is not taken for one", async () => {
  const w = wires(new Response("<html>proxy</html>"), json(200, { ok: true }), json(200, { choice: 0, tally: [1, 0], total: 1 }));
  expect(await deliver("http://w", answer, w)).toMatchObject({ kind: "stored", choice: 0 });
});

test.each([
  [409, { kind: "closed" }],
  [404, { kind: "refused", status: 404 }],
  [400, { kind: "refused", status: 400 }],
])("%i ends the attempts", async (status, delivery) => {
  const w = wires(json(status, {}));
  expect(await deliver("http://w", answer, w)).toEqual(delivery);
});

test("an unknown playhead is left out", async () => {
  const w = wires(json(409, {}));
  await deliver("http://w", { ...answer, playheadMs: 0 }, w);
  expect(w.requests[0]!.body).toEqual({ viewer: "abcdef0123", choice: 1 });
});

function hearing(): { heard: string[]; hearing: Hearing } {
  const heard: string[] = [];
  return { heard, hearing: { poll: (poll) => heard.push(`poll ${poll?.pollId ?? "none"}`), tally: (tally) => heard.push(`tally ${tally.total}`) } };
}

const POLL = { id: "st:1", poll_id: 1, question: "?", answers: ["a", "b"], tally: [0, 0], total: 0, opened_at: "2026-01-01T00:00:00Z", closed: false };

test("polls and tallies are heard, and what is not understood is passed over", () => {
  const w = wires();
  const { heard, hearing: ears } = hearing();
  hear("http://w/interact/v1", "chan", ears, w);
  const [source] = w.sources;
  expect(source!.url).toBe("http://w/interact/v1/channels/chan/events");
  source!.send("poll", JSON.stringify({ poll: POLL }));
  source!.send("tally", JSON.stringify({ id: "st:1", tally: [1, 0], total: 1 }));
  source!.send("poll", "not json");
  source!.send("poll", JSON.stringify({ poll: { id: 3 } }));
  source!.send("tally", JSON.stringify({ tally: ["x"] }));
  source!.send("poll", JSON.stringify({ poll: null }));
  expect(heard).toEqual(["poll 1", "tally 1", "poll none"]);
});

test("a refused connection is opened again, a lost one is left to the browser", async () => {
  const w = wires();
  hear("http://w", "chan", hearing().hearing, w);
  w.sources[0]!.readyState = 0;
  w.sources[0]!.dispatchEvent(new Event("error"));
  await Promise.resolve();
  expect(w.sources).toHaveLength(1);
  w.sources[0]!.readyState = 2;
  w.sources[0]!.dispatchEvent(new Event("error"));
  await Promise.resolve();
  expect(w.sources).toHaveLength(2);
  expect(w.pauses).toEqual([1000]);
});

test("after stopping nothing is opened", async () => {
  const w = wires();
  const stop = hear("http://w", "chan", hearing().hearing, w);
  w.sources[0]!.readyState = 2;
  w.sources[0]!.dispatchEvent(new Event("error"));
  stop();
  await Promise.resolve();
  expect(w.sources).toHaveLength(1);
});

test("what goes on around a private stream is asked for with the viewer session that is good at that moment", async () => {
  let viewer: string | undefined = "v-1";
  const w = { ...wires(new TypeError("refused"), json(200, { choice: 1, counted: true, tally: [0, 1], total: 1 })), session: () => viewer };
  const stop = hear("http://w/interact/v1", "c", { poll: () => {}, tally: () => {} }, w);
  expect(w.sources[0]!.url).toBe("http://w/interact/v1/channels/c/events?session=v-1");
  viewer = "v 2";
  w.sources[0]!.readyState = w.sources[0]!.CLOSED;
  w.sources[0]!.dispatchEvent(new Event("error"));
  await Promise.resolve();
  await Promise.resolve();
  expect(w.sources[1]!.url).toBe("http://w/interact/v1/channels/c/events?session=v%202");
  stop();
  await deliver("http://w/interact/v1", answer, w);
  expect(w.requests.map((request) => request.url)).toEqual(Array(2).fill("http://w/interact/v1/polls/st-1%3A7/answers?session=v%202"));
});
