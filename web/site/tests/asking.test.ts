import { beforeEach, expect, test } from "vitest";
import { Asking, type Shown } from "../src/asking";
import { Memory } from "../src/memory";
import type { Poll } from "../src/question";
import type { AnswerToSend, Delivery } from "../src/wire";

const OPENED = Date.parse("2026-01-01T00:00:10Z");

function poll(pollId = "1", more: Partial<Poll> = {}): Poll {
  return { id: `st:${pollId}`, pollId, question: `Question ${pollId}?`, answers: ["yes", "no"], tally: [0, 0], total: 0, openedAt: OPENED, closed: false, ...more };
}

class Bench {
  shown: Shown | undefined;
  playhead = 0;
  readonly sent: AnswerToSend[] = [];
  readonly timers: (() => void)[] = [];
  #acknowledge: ((delivery: Delivery) => void)[] = [];
  readonly asking: Asking;

  constructor(readonly memory = new Memory(noStorage)) {
    this.asking = new Asking({
      memory: this.memory,
      deliver: (answer) => {
        this.sent.push(answer);
        return new Promise((resolve) => this.#acknowledge.push(resolve));
      },
      playheadMs: () => this.playhead,
      show: (shown) => {
        this.shown = shown;
      },
      later: (run) => this.timers.push(run),
    });
  }

  async acknowledge(delivery: Delivery): Promise<void> {
    this.#acknowledge.shift()!(delivery);
    await Promise.resolve();
    await Promise.resolve();
  }
}

function noStorage(): Storage {
  throw new Error("blocked");
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

const cueOf = ({ pollId, question, answers }: Poll) => ({ pollId, question, answers });

test("the server's word alone shows nothing: the picture is not there yet", () => {
  bench.playhead = OPENED - 500;
  bench.asking.heard(poll());
  bench.asking.check();
  expect(bench.shown).toBeUndefined();
  bench.asking.cue(cueOf(poll()), 12.5);
  expect(bench.shown).toMatchObject({ question: "Question 1?", standing: "open", answerable: true, mediaTime: 12.5 });
});

test("a cue before the server's word is shown, and can be answered when the word comes", () => {
  bench.asking.cue(cueOf(poll()), 12.5);
  expect(bench.shown).toMatchObject({ answerable: false, tally: [0, 0] });
  bench.asking.answer(0);
  expect(bench.sent).toEqual([]);
  bench.asking.heard(poll("1", { tally: [3, 4], total: 7 }));
  expect(bench.shown).toMatchObject({ answerable: true, tally: [3, 4], total: 7 });
});

test("who joins late is shown the open question once the picture is past it", () => {
  bench.asking.heard(poll());
  expect(bench.shown).toBeUndefined();
  bench.playhead = OPENED + 60_000;
  bench.asking.check();
  expect(bench.shown).toMatchObject({ question: "Question 1?", mediaTime: undefined });
});

test("a cue that comes right at the opening is not preempted", () => {
  bench.asking.heard(poll());
  bench.playhead = OPENED + 900;
  bench.asking.check();
  expect(bench.shown).toBeUndefined();
});

test("an answer is sent once, with its moment, and stands when it is acknowledged", async () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.playhead = OPENED + 300;
  bench.asking.answer(1);
  bench.asking.answer(0);
  expect(bench.shown).toMatchObject({ standing: "sending", choice: 1 });
  expect(bench.sent).toEqual([{ poll: "st:1", viewer: bench.memory.viewer(), choice: 1, playheadMs: OPENED + 300 }]);
  expect(bench.memory.answer("st:1")).toEqual({ choice: 1, stored: false });
  await bench.acknowledge({ kind: "stored", choice: 1, tally: { id: "st:1", tally: [0, 1], total: 1 } });
  expect(bench.shown).toMatchObject({ standing: "stored", choice: 1, tally: [0, 1], total: 1 });
  expect(bench.memory.answer("st:1")).toEqual({ choice: 1, stored: true });
});

test("the earlier answer stands when the server knows one", async () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.answer(1);
  await bench.acknowledge({ kind: "stored", choice: 0, tally: { id: "st:1", tally: [1, 0], total: 1 } });
  expect(bench.shown).toMatchObject({ standing: "stored", choice: 0 });
});

test("an answer that was not acknowledged before a reload is sent again", () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.answer(1);
  const reloaded = new Bench(bench.memory);
  reloaded.asking.heard(poll());
  reloaded.playhead = OPENED + 5000;
  reloaded.asking.check();
  expect(reloaded.sent).toMatchObject([{ poll: "st:1", choice: 1 }]);
  expect(reloaded.shown).toMatchObject({ standing: "sending", choice: 1 });
});

test("an acknowledged answer is remembered and not sent again", async () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.answer(1);
  await bench.acknowledge({ kind: "stored", choice: 1, tally: { id: "st:1", tally: [0, 1], total: 1 } });
  const reloaded = new Bench(bench.memory);
  reloaded.asking.heard(poll());
  reloaded.asking.cue(cueOf(poll()), 1);
  expect(reloaded.sent).toEqual([]);
  expect(reloaded.shown).toMatchObject({ standing: "stored", choice: 1 });
});

test("tallies move the bars, and an older one does not move them back", () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.tally({ id: "st:1", tally: [2, 3], total: 5 });
  bench.asking.tally({ id: "st:1", tally: [1, 1], total: 2 });
  bench.asking.tally({ id: "st:other", tally: [9, 9], total: 18 });
  expect(bench.shown).toMatchObject({ tally: [2, 3], total: 5 });
});

test("a closed question stays with its result for a while, then goes", () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.tally({ id: "st:1", tally: [2, 3], total: 5 });
  bench.asking.heard(null);
  expect(bench.shown).toMatchObject({ standing: "closed", tally: [2, 3], total: 5 });
  bench.asking.answer(0);
  expect(bench.sent).toEqual([]);
  bench.timers.shift()!();
  expect(bench.shown).toBeUndefined();
});

test("the next question closes this one, comes at its own cue, and is not hidden with it", () => {
  bench.asking.heard(poll("1"));
  bench.asking.cue(cueOf(poll("1")), 1);
  bench.asking.heard(poll("2", { openedAt: OPENED + 20_000 }));
  expect(bench.shown).toMatchObject({ question: "Question 1?", standing: "closed" });
  bench.asking.cue(cueOf(poll("2")), 21);
  expect(bench.shown).toMatchObject({ question: "Question 2?", standing: "open", answerable: true });
  bench.timers.shift()!();
  expect(bench.shown).toMatchObject({ question: "Question 2?" });
});

test("a question that was closed before this viewer came is not shown", () => {
  bench.playhead = OPENED + 60_000;
  bench.asking.heard(poll("1", { closed: true }));
  bench.asking.check();
  expect(bench.shown).toBeUndefined();
});

test("the server's word again, after its connection was lost, changes nothing", () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.answer(1);
  bench.asking.heard(poll("1", { tally: [0, 1], total: 1 }));
  expect(bench.shown).toMatchObject({ standing: "sending", choice: 1, total: 1, mediaTime: 1 });
});

test("an answer that comes too late closes the question; one that is refused is forgotten", async () => {
  bench.asking.heard(poll());
  bench.asking.cue(cueOf(poll()), 1);
  bench.asking.answer(1);
  await bench.acknowledge({ kind: "closed" });
  expect(bench.shown).toMatchObject({ standing: "closed", choice: undefined });
  const other = new Bench();
  other.asking.heard(poll());
  other.asking.cue(cueOf(poll()), 1);
  other.asking.answer(1);
  await other.acknowledge({ kind: "refused", status: 400 });
  expect(other.shown).toMatchObject({ standing: "refused", choice: undefined });
  expect(other.memory.answer("st:1")).toBeUndefined();
});
