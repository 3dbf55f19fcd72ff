import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ErrorType, type PlayerError } from "../src/api";
import { Backoff } from "../src/backoff";
import type { Failure } from "../src/engine";
import type { Probe } from "../src/probe";
import { Recovery } from "../src/recovery";
import { addresses } from "./fakes";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const lost: Failure = { kind: "network", source: "MediaPlaylist", status: 0, message: "connection refused" };
const decoder: Failure = { kind: "media", source: "Decoder", status: 0, message: "decode" };
const master = (status: number): Failure => ({ kind: "network", source: "MasterPlaylist", status, message: `answered ${status}` });

function bench(watch: boolean): { recovery: Recovery; did: string[]; errors: PlayerError[]; server: { answer: Probe; asked: number } } {
  const did: string[] = [];
  const errors: PlayerError[] = [];
  const server = { answer: { status: 200, session: "one", addresses: addresses("one") } as Probe, asked: 0 };
  const recovery = new Recovery(
    watch,
    {
      probe: () => {
        server.asked += 1;
        return Promise.resolve(server.answer);
      },
      goesOn: () => false,
      resume: () => did.push("resume"),
      recoverMedia: () => did.push("recoverMedia"),
      reload: () => did.push("reload"),
      offline: () => did.push("offline"),
      over: () => did.push("over"),
      unreachable: () => did.push("unreachable"),
      fail: (error) => {
        did.push("fail");
        errors.push(error);
      },
    },
    {
      now: () => Date.now(),
      set: (run, delayMs) => setTimeout(run, delayMs) as unknown as number,
      clear: (timer) => clearTimeout(timer),
    },
    () => 1,
  );
  recovery.begin();
  return { recovery, did, errors, server };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

test("pauses double up to the cap, and jitter takes up to half", () => {
  const least = new Backoff(500, 4000, () => 0);
  expect([1, 2, 3, 4, 5].map(() => least.nextMs())).toEqual([250, 500, 1000, 2000, 2000]);
  const most = new Backoff(500, 4000, () => 1);
  expect([1, 2, 3, 4, 5].map(() => most.nextMs())).toEqual([500, 1000, 2000, 4000, 4000]);
});

test("a lost connection on the same session goes on without loading anew", async () => {
  const { recovery, did } = bench(false);
  recovery.ready("one");
  recovery.progressed();
  recovery.failed(lost);
  await pass(600);
  expect(did).toEqual(["unreachable", "resume"]);
});

test("a restarted server has another session: the player loads anew", async () => {
  const { recovery, did, server } = bench(false);
  recovery.ready("one");
  recovery.progressed();
  server.answer = { status: 0, session: "", addresses: [] };
  recovery.failed(lost);
  await pass(5000);
  expect(did).not.toContain("reload");
  server.answer = { status: 200, session: "two", addresses: addresses("two") };
  await pass(10_000);
  expect(did.at(-1)).toBe("reload");
  expect(did.filter((what) => what === "reload")).toHaveLength(1);
});

test("while the server is away, attempts grow apart and stay below the cap", async () => {
  const { recovery, server } = bench(true);
  recovery.ready("one");
  server.answer = { status: 0, session: "", addresses: [] };
  recovery.failed(lost);
  await pass(60_000);
  // 0.5 + 1 + 2 + 4 + 8 + 8 … seconds.
  expect(server.asked).toBeGreaterThanOrEqual(8);
  expect(server.asked).toBeLessThanOrEqual(11);
});

test("further failures while an attempt waits do not add attempts", async () => {
  const { recovery, server } = bench(true);
  recovery.ready("one");
  for (let i = 0; i < 10; i += 1) recovery.failed(lost);
  await pass(600);
  expect(server.asked).toBe(1);
});

test("resuming three times without a picture loads anew", async () => {
  const { recovery, did } = bench(false);
  recovery.ready("one");
  for (let i = 0; i < 4; i += 1) {
    recovery.failed(lost);
    await vi.advanceTimersToNextTimerAsync();
  }
  expect(did.filter((what) => what !== "unreachable")).toEqual(["resume", "resume", "resume", "reload"]);
});

test("a playlist that the server holds back and then refuses, as long as the encoder is away, is not loaded anew", async () => {
  const { recovery, did, server } = bench(true);
  recovery.ready("one");
  recovery.progressed();
  recovery.stalled(() => false);
  for (let i = 0; i < 10; i += 1) {
    await pass(6000);
    recovery.failed({ ...lost, status: 503 });
    await pass(600);
    // Prompt: the encoder may be back at any moment.
    expect(did).toHaveLength(i + 1);
  }
  expect(new Set(did)).toEqual(new Set(["resume"]));
  expect(server.asked).toBeLessThan(40);
});

describe("as IVS' player", () => {
  test.each([
    [404, ErrorType.NOT_AVAILABLE],
    [403, ErrorType.AUTHORIZATION],
    [429, ErrorType.NOT_AVAILABLE],
  ])("a master that is answered %i is an error of type %s", (status, type) => {
    const { recovery, errors } = bench(false);
    recovery.failed(master(status));
    expect(errors).toEqual([{ source: "MasterPlaylist", type, code: status, message: `answered ${status}` }]);
  });

  test("a session that went without a word has ended", async () => {
    const { recovery, did, server } = bench(false);
    recovery.ready("one");
    recovery.progressed();
    server.answer = { status: 404, session: "", addresses: [] };
    recovery.failed({ ...lost, status: 404 });
    await pass(60_000);
    expect(did).toEqual(["over"]);
    expect(server.asked).toBe(1);
  });

  test("a server that stays away is given up after a minute", async () => {
    const { recovery, errors, server } = bench(false);
    recovery.ready("one");
    server.answer = { status: 0, session: "", addresses: [] };
    recovery.failed(lost);
    await pass(59_000);
    expect(errors).toEqual([]);
    await pass(20_000);
    expect(errors).toMatchObject([{ type: ErrorType.NETWORK_IO }]);
    const { asked } = server;
    await pass(60_000);
    expect(server.asked).toBe(asked);
  });

  test("after the end nothing is asked any more", async () => {
    const { recovery, did, server } = bench(false);
    recovery.ready("one");
    recovery.progressed();
    recovery.ended();
    await pass(60_000);
    expect(did).toEqual(["over"]);
    expect(server.asked).toBe(0);
  });
});

describe("watching", () => {
  test("an offline channel is asked again until it is there", async () => {
    const { recovery, did, server } = bench(true);
    server.answer = { status: 404, session: "", addresses: [] };
    recovery.failed(master(404));
    await pass(30_000);
    expect(did).toEqual(["offline"]);
    expect(server.asked).toBeGreaterThanOrEqual(6);
    expect(server.asked).toBeLessThanOrEqual(9);
    server.answer = { status: 200, session: "one", addresses: addresses("one") };
    await pass(5000);
    expect(did).toEqual(["offline", "reload"]);
  });

  test("after the end the next session is loaded, and the finished one is not", async () => {
    const { recovery, did, server } = bench(true);
    recovery.ready("one");
    recovery.progressed();
    recovery.ended();
    await pass(20_000);
    expect(did).toEqual(["over"]);
    server.answer = { status: 404, session: "", addresses: [] };
    await pass(20_000);
    expect(did).toEqual(["over"]);
    server.answer = { status: 200, session: "two", addresses: addresses("two") };
    await pass(5000);
    expect(did).toEqual(["over", "reload"]);
  });

  test("a session that went without a word is over", async () => {
    const { recovery, did, server } = bench(true);
    recovery.ready("one");
    recovery.progressed();
    server.answer = { status: 404, session: "", addresses: [] };
    recovery.failed({ ...lost, status: 404 });
    await pass(600);
    expect(did).toEqual(["over"]);
  });

  test("who may not watch is told, and not retried", async () => {
    const { recovery, errors, server } = bench(true);
    recovery.failed(master(403));
    await pass(60_000);
    expect(errors).toMatchObject([{ type: ErrorType.AUTHORIZATION, code: 403 }]);
    expect(server.asked).toBe(0);
  });
});

describe("a stall", () => {
  test("on a listed session is waited out", async () => {
    const { recovery, did } = bench(false);
    recovery.ready("one");
    recovery.progressed();
    recovery.stalled(() => false);
    await pass(29_000);
    expect(did).toEqual([]);
  });

  test("ends the waiting when pictures move", async () => {
    const { recovery, server } = bench(false);
    recovery.ready("one");
    recovery.stalled(() => false);
    await pass(2000);
    recovery.progressed();
    await pass(60_000);
    expect(server.asked).toBe(0);
  });

  test("on a session that was replaced loads anew", async () => {
    const { recovery, did, server } = bench(false);
    recovery.ready("one");
    recovery.progressed();
    server.answer = { status: 200, session: "two", addresses: addresses("two") };
    recovery.stalled(() => false);
    await pass(3100);
    expect(did).toEqual(["reload"]);
  });

  test("with media at hand three times over rebuilds the player", async () => {
    const { recovery, did } = bench(false);
    recovery.ready("one");
    recovery.progressed();
    recovery.stalled(() => true);
    await pass(6100);
    expect(did).toEqual([]);
    await pass(3100);
    expect(did).toEqual(["reload"]);
  });

  test("is forgotten at a pause", async () => {
    const { recovery, server } = bench(false);
    recovery.ready("one");
    recovery.stalled(() => false);
    recovery.relaxed();
    await pass(60_000);
    expect(server.asked).toBe(0);
  });
});

test("the decoder is rebuilt twice in a minute, then the player, then it is given up", async () => {
  const { recovery, did, errors } = bench(false);
  recovery.ready("one");
  for (let i = 0; i < 7; i += 1) {
    recovery.failed(decoder);
    await pass(8000);
  }
  expect(did).toEqual(["recoverMedia", "recoverMedia", "reload", "reload", "reload", "reload", "fail"]);
  expect(errors).toMatchObject([{ type: ErrorType.INVALID_DATA, source: "Decoder" }]);
});

test("an answer that comes after the waiting was called off does nothing", async () => {
  const { recovery, did } = bench(false);
  recovery.ready("one");
  recovery.failed({ ...lost, status: 500 });
  vi.advanceTimersByTime(600);
  recovery.stop();
  await pass(0);
  expect(did).toEqual([]);
});
