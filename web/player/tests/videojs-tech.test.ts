import { expect, test } from "vitest";
import { registerTech, type VideoJs } from "../src/videojs-tech";
import { Bench } from "./fakes";

/** As much of video.js as the technology stands on; the browser's test has the real one. */
class FakeHtml5 {
  readonly triggered: string[] = [];
  constructor(readonly given: { source?: unknown }) {}
  el(): unknown {
    return element;
  }
  trigger(event: string): void {
    this.triggered.push(event);
  }
  dispose(): void {
    this.triggered.push("disposed");
  }
}

let element: unknown;

interface TechUnderTest extends FakeHtml5 {
  src(address?: string): string | undefined;
  play(): Promise<void>;
  pause(): void;
  duration(): number;
  error(): { code: number } | null;
}

function registered(): { bench: Bench; make: (options: object) => TechUnderTest; canPlay: (type: string) => string } {
  const bench = new Bench();
  element = bench.video;
  let Tech: (new (options: object) => TechUnderTest) & { canPlayType(type: string): string };
  const videojs: VideoJs = {
    getTech: () => FakeHtml5 as never,
    registerTech: (name, tech) => {
      expect(name).toBe("AmazonIVS");
      Tech = tech as typeof Tech;
    },
    registerPlugin: () => {},
  };
  registerTech(videojs, () => bench.player);
  return { bench, make: (options) => new Tech(options), canPlay: (type) => Tech.canPlayType(type) };
}

test("without video.js it says so, with IVS' code", () => {
  expect(() => registerTech(undefined, () => new Bench().player)).toThrow(expect.objectContaining({ code: 1 }) as Error);
});

test("it takes HLS and nothing else", () => {
  const { canPlay } = registered();
  expect(["application/x-mpegURL", "application/vnd.apple.mpegurl", "video/mp4", ""].map(canPlay)).toEqual(["maybe", "maybe", "", ""]);
});

test("the source goes to the player and never to the element", () => {
  const { bench, make } = registered();
  const tech = make({ source: { src: "http://web.test/one.m3u8" } });
  expect(tech.given.source).toBeUndefined();
  tech.src("http://web.test/two.m3u8");
  expect(bench.engines.map((engine) => engine.calls[0])).toEqual(["load http://web.test/one.m3u8", "load http://web.test/two.m3u8"]);
  expect(tech.src()).toBe("http://web.test/two.m3u8");
});

test("playing on after a pause jumps to the live edge", async () => {
  const { bench, make } = registered();
  const tech = make({ source: { src: "http://web.test/one.m3u8" } });
  await tech.play();
  bench.moves();
  expect(tech.duration()).toBe(Number.POSITIVE_INFINITY);
  bench.video.currentTime = 10;
  tech.pause();
  bench.engine.liveEdge = { edge: 60, holdBack: 0.6 };
  await tech.play();
  expect(bench.video.currentTime).toBeCloseTo(59.4);
});

test("the player's error is the technology's, and a dispose deletes the player", () => {
  const { bench, make } = registered();
  globalThis.MediaError ??= { MEDIA_ERR_NETWORK: 2, MEDIA_ERR_DECODE: 3, MEDIA_ERR_SRC_NOT_SUPPORTED: 4 } as typeof MediaError;
  const tech = make({ source: { src: "http://web.test/one.m3u8" } });
  bench.engine.news.failed({ kind: "network", source: "MasterPlaylist", status: 404, message: "not found" });
  expect(tech.triggered).toEqual(["error"]);
  expect(tech.error()?.code).toBe(4);
  tech.dispose();
  expect(tech.triggered).toEqual(["error", "disposed"]);
});
