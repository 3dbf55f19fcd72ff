import { expect, test } from "vitest";
import { beaconAddress, viewerOf, withViewer } from "../src/viewer";

const OPEN = ["http://h:8080/media/e1/source/media.m3u8?v=abc-_1", "http://h:8080/media/e1/480p30/media.m3u8?v=abc-_1"];
const PRIVATE = ["https://h/media/v/s-1/e1/source/media.m3u8"];

test("the viewer is named in the query of open channels and in the path of private ones", () => {
  expect([viewerOf(OPEN), viewerOf(PRIVATE)]).toEqual(["abc-_1", "s-1"]);
  expect([viewerOf([]), viewerOf(["http://cdn/live.m3u8"])]).toEqual([undefined, undefined]);
});

test("the playback URL asks for the same viewer again, once, and keeps its token", () => {
  const url = "http://h/api/video/v1/x.m3u8?token=a.b.c";
  expect(withViewer(url, undefined)).toBe(url);
  const again = withViewer(url, "s-1");
  expect(again).toBe(`${url}&session=s-1`);
  expect(withViewer(again, "s-2")).toBe(`${url}&session=s-2`);
});

test("the beacon goes beside the renditions, and nowhere on another's server", () => {
  expect(beaconAddress(OPEN)).toBe("http://h:8080/media/e1/beacon?v=abc-_1");
  expect(beaconAddress(PRIVATE)).toBe("https://h/media/v/s-1/e1/beacon");
  for (const other of [[], ["http://cdn/live/media.m3u8"], ["http://cdn/media/e1/source/index.m3u8"]]) {
    expect(beaconAddress(other)).toBeUndefined();
  }
});
