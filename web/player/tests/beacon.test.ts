import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Bench, URL_MASTER, addresses } from "./fakes";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const numbers = (text: string | undefined): Record<string, number> =>
  Object.fromEntries((text ?? "").split(",").map((member) => [member.split("=")[0], Number(member.split("=")[1])]));
const last = (bench: Bench): Record<string, number> => numbers(bench.told.at(-1)?.[1]);

/** Loaded, and the first picture 640 ms later. */
async function playing(bench = new Bench()): Promise<Bench> {
  bench.player.play();
  bench.player.load(URL_MASTER);
  bench.engine.sync = Date.now() - 900;
  await pass(640);
  bench.moves();
  return bench;
}

test("the first picture, every ten seconds and the end are told, in numbers alone", async () => {
  const bench = await playing();
  bench.engine.sync = Date.now() - 900;
  expect(bench.told).toHaveLength(1);
  const [address, text, when] = bench.told[0]!;
  expect([address, when]).toEqual(["http://web.test/media/v/viewer/one/beacon", "playing"]);
  expect(text).toMatch(/^[a-z-]+=\d+(,[a-z-]+=\d+)*$/);
  expect(text.length).toBeLessThan(200);
  expect(numbers(text)).toMatchObject({ br: 800, bsa: 0, bsda: 0, dfa: 0, msd: 640, v: 2 });
  await pass(30_000);
  expect(bench.told).toHaveLength(4);
  bench.engine.sync = Date.now() - 1200;
  await pass(3000);
  bench.leave();
  expect(bench.told).toHaveLength(5);
  expect(bench.told.at(-1)![2]).toBe("leaving");
  expect(last(bench)).toMatchObject({ ltc: 4200, "headwater-pdt": Date.now() - 4200 });
});

test("stalls are counted and timed, one that goes on too", async () => {
  const bench = await playing();
  await pass(2000);
  bench.waits();
  await pass(1500);
  bench.moves();
  await pass(1000);
  bench.waits();
  await pass(6000);
  expect(last(bench)).toMatchObject({ bsa: 2, bsda: 1500 + (10_000 - 2000 - 1500 - 1000) });
  expect(last(bench)).not.toHaveProperty("ltc");
});

test("dropped pictures are summed up over sources", async () => {
  const bench = await playing();
  bench.video.dropped = 5;
  await pass(10_000);
  expect(last(bench)["dfa"]).toBe(5);
  bench.video.dropped = 2;
  await pass(10_000);
  expect(last(bench)["dfa"]).toBe(7);
});

test("a pause tells the rest and is silent; another viewer's sums begin anew", async () => {
  const bench = await playing();
  bench.waits();
  await pass(2000);
  bench.moves();
  bench.player.pause();
  expect(last(bench)).toMatchObject({ bsa: 1, bsda: 2000 });
  const before = bench.told.length;
  await pass(60_000);
  bench.leave();
  expect(bench.told).toHaveLength(before);
  bench.player.play();
  bench.engine.news.ready("two", addresses("two", "other"));
  bench.video.tell("playing");
  expect(bench.told.at(-1)![0]).toBe("http://web.test/media/v/other/two/beacon");
  expect(last(bench)).toMatchObject({ bsa: 0, bsda: 0 });
});

test("however often something happens, there is one beacon a second at most", async () => {
  const bench = await playing();
  for (let i = 0; i < 50; i += 1) {
    await pass(100);
    bench.leave();
  }
  expect(bench.told.length).toBeLessThanOrEqual(6);
});

test("a page turns it off, and a player that is deleted is silent", async () => {
  const silent = await playing(new Bench({ beacon: false }));
  await pass(60_000);
  silent.leave();
  expect(silent.told).toEqual([]);
  const bench = await playing();
  await pass(5000);
  bench.player.delete();
  const after = bench.told.length;
  expect(bench.told.at(-1)![2]).toBe("leaving");
  await pass(60_000);
  bench.leave();
  expect(bench.told).toHaveLength(after);
});

test("waiting for a broadcast is no startup", async () => {
  const bench = new Bench({ watch: true });
  bench.player.play();
  bench.player.load(URL_MASTER);
  bench.server = { status: 404, session: "", addresses: [] };
  bench.engine.news.failed({ kind: "network", source: "MasterPlaylist", status: 404, message: "" });
  await pass(60_000);
  bench.server = { status: 200, session: "one", addresses: addresses("one") };
  await pass(10_000);
  const loaded = bench.engine;
  await pass(500);
  bench.moves();
  expect(bench.engine).toBe(loaded);
  expect(last(bench)["msd"]).toBeLessThan(11_000);
});
