import { expect, test } from "vitest";
import { Phase } from "../../player/src/api";
import { parseConfig, reachable } from "../src/config";
import { Memory } from "../src/memory";
import { parseCue, parsePoll } from "../src/question";
import { answersCounted, delay, words } from "../src/words";

test("each phase has words, and all but live fill the picture's place", () => {
  for (const phase of Object.values(Phase)) {
    const { badge, title } = words(phase);
    expect(badge).not.toBe("");
    expect(title === "").toBe(phase === Phase.LIVE);
  }
});

test("figures are written for people", () => {
  expect([delay(0.84), delay(9.96), delay(12.3)]).toEqual(["0.8 s delay", "10.0 s delay", "12 s delay"]);
  expect([answersCounted(1), answersCounted(12_345)]).toEqual(["1 answer", "12,345 answers"]);
});

test("a cue that asks is a question, whatever its poll id's type; another is not", () => {
  expect(parseCue('{"question":"Q?","answers":["a","b"],"poll_id":7}')).toEqual({ question: "Q?", answers: ["a", "b"], pollId: "7" });
  for (const text of ["", "hello", "[]", "null", "3", '{"question":"Q?"}', '{"question":"Q?","answers":["a"],"poll_id":1}', '{"question":1,"answers":["a","b"],"poll_id":1}', '{"question":"Q?","answers":[{},"b"],"poll_id":1}']) {
    expect([text, parseCue(text)]).toEqual([text, undefined]);
  }
});

test("a tally that is too short is filled, one too long is cut", () => {
  const poll = { id: "i", poll_id: "1", question: "?", answers: ["a", "b"], total: 3, opened_at: "2026-01-01T00:00:00Z" };
  expect(parsePoll({ poll: { ...poll, tally: [3] } })).toMatchObject({ tally: [3, 0], closed: false });
  expect(parsePoll({ poll: { ...poll, tally: [1, 1, 1] } })).toMatchObject({ tally: [1, 1] });
  expect(parsePoll({ poll: { ...poll, tally: [-1, 0] } })).toBeUndefined();
});

test("the configuration says what it lacks", () => {
  const page = new URL("http://site.test/");
  expect(() => parseConfig({ title: "t" }, page)).toThrow('config.json has no text "channelId"');
  expect(() => parseConfig(null, page)).toThrow("title");
  expect(parseConfig({ title: "t", channelId: "c", playbackUrl: "http://h/a.m3u8", interactUrl: "http://h/interact/v1/" }, page).interactUrl).toBe("http://h/interact/v1");
});

test("localhost is replaced for viewers on other machines, and only for them", () => {
  const address = "http://localhost:8080/api/x.m3u8";
  expect(reachable(address, new URL("http://192.168.1.7:8080/website/n/"))).toBe("http://192.168.1.7:8080/api/x.m3u8");
  expect(reachable(address, new URL("http://n.s3-website.localhost:8080/"))).toBe(address);
  expect(reachable(address, new URL("http://127.0.0.1:8080/website/n/"))).toBe(address);
  expect(reachable("http://live.example.com/x.m3u8", new URL("http://192.168.1.7/"))).toBe("http://live.example.com/x.m3u8");
});

class FakeStorage {
  [key: string]: unknown;
  getItem(key: string): string | null {
    return (this[key] as string | undefined) ?? null;
  }
  setItem(key: string, value: string): void {
    this[key] = value;
  }
  removeItem(key: string): void {
    delete this[key];
  }
}

test("a viewer has one random id, also where storage is blocked", () => {
  const storage = new FakeStorage() as unknown as Storage;
  const id = new Memory(() => storage).viewer();
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(new Memory(() => storage).viewer()).toBe(id);
  const blocked = new Memory(() => {
    throw new Error("blocked");
  });
  expect(blocked.viewer()).toBe(blocked.viewer());
  expect(blocked.viewer()).not.toBe(id);
});

test("a stored id that the server would refuse is replaced", () => {
  const storage = new FakeStorage() as unknown as Storage;
  storage.setItem("headwater.viewer", "x y");
  expect(new Memory(() => storage).viewer()).toMatch(/^[0-9a-f]{32}$/);
});

test("old answers are forgotten", () => {
  const storage = new FakeStorage() as unknown as Storage;
  const memory = new Memory(() => storage);
  for (let i = 0; i < 200; i += 1) memory.remember(`p${i}`, { choice: 1, stored: true });
  expect(Object.keys(storage).length).toBeLessThanOrEqual(51);
  expect(memory.answer("p199")).toEqual({ choice: 1, stored: true });
});
