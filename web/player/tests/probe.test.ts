import { expect, test } from "vitest";
import { probe, sessionOf, variants } from "../src/probe";

const MASTER = `#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1280x720
/media/abc/source/media.m3u8?t=1
#EXT-X-STREAM-INF:BANDWIDTH=1
# a comment
../media/abc/low/media.m3u8
`;

test("variants are found and made absolute", () => {
  expect(variants(MASTER, "http://h:8080/api/x.m3u8")).toEqual([
    "http://h:8080/media/abc/source/media.m3u8?t=1",
    "http://h:8080/media/abc/low/media.m3u8",
  ]);
});

test("a media playlist is its own only variant", () => {
  expect(variants("#EXTM3U\n#EXTINF:2,\na.m4s\n", "http://h/x.m3u8")).toEqual(["http://h/x.m3u8"]);
});

test("host, query and order do not make another session; the epoch does", () => {
  const one = sessionOf(["http://a/media/e1/source/m.m3u8?t=1", "http://a/media/e1/low/m.m3u8"]);
  expect(sessionOf(["http://b:8080/media/e1/low/m.m3u8", "http://b:8080/media/e1/source/m.m3u8"])).toBe(one);
  expect(sessionOf(["http://a/media/e2/source/m.m3u8", "http://a/media/e2/low/m.m3u8"])).not.toBe(one);
  const viewer = (name: string, epoch: string): string => sessionOf([`http://a/media/v/${name}/${epoch}/source/m.m3u8`, `http://a/media/v/${name}/${epoch}/low/m.m3u8`]);
  expect([viewer("x", "e1"), viewer("y", "e1")]).toEqual([one, one]);
  expect(viewer("x", "e2")).not.toBe(one);
});

test("a probe tells status and session, and silence as 0", async () => {
  const answers = (response: Response): typeof fetch => () => Promise.resolve(response);
  expect(await probe("http://h/x.m3u8", "same-origin", answers(new Response(MASTER)))).toEqual({
    status: 200,
    session: "/media/abc/low/media.m3u8 /media/abc/source/media.m3u8",
    addresses: ["http://h/media/abc/source/media.m3u8?t=1", "http://h/media/abc/low/media.m3u8"],
  });
  expect(await probe("http://h/x", "omit", answers(new Response("", { status: 404 })))).toEqual({ status: 404, session: "", addresses: [] });
  expect(await probe("http://h/x", "omit", () => Promise.reject(new TypeError("refused")))).toEqual({ status: 0, session: "", addresses: [] });
});
