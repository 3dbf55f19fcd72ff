import { expect, test } from "vitest";
import { readTag } from "../src/id3";
import { base64Text } from "../src/hls-engine";

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
const syncsafe = (n: number): number[] => [(n >> 21) & 0x7f, (n >> 14) & 0x7f, (n >> 7) & 0x7f, n & 0x7f];
const frame = (name: string, content: number[]): number[] => [...bytes(name), ...syncsafe(content.length), 0, 0, ...content];
const tag = (...frames: number[][]): Uint8Array => {
  const body = frames.flat();
  return new Uint8Array([0x49, 0x44, 0x33, 4, 0, 0, ...syncsafe(body.length), ...body]);
};
const priv = (owner: string, text: string): number[] => frame("PRIV", bytes(`${owner}\0${text}`));
const idFrame = (id: string): number[] => frame("TXXX", [3, ...bytes(`headwater.cue-id\0${id}`)]);

test("payload and id of a cue are read", () => {
  expect(readTag(tag(priv("metadata.live-video.net", '{"a":"ü"}'), idFrame("cue-1")))).toEqual({
    frames: [{ owner: "metadata.live-video.net", text: '{"a":"ü"}' }],
    id: "cue-1",
  });
});

test("a payload longer than a syncsafe byte's reach is whole", () => {
  const long = "x".repeat(1000);
  expect(readTag(tag(priv("o", long))).frames[0]!.text).toBe(long);
});

test("other frames are passed over", () => {
  const tags = tag(frame("TIT2", [3, ...bytes("title")]), frame("TXXX", [3, ...bytes("other\0value")]), priv("o", "t"));
  expect(readTag(tags)).toEqual({ frames: [{ owner: "o", text: "t" }], id: undefined });
});

test("every cut of a tag is read without an exception and without invention", () => {
  const whole = tag(priv("owner", "text"), idFrame("id"));
  for (let length = 0; length < whole.length; length += 1) {
    const { frames } = readTag(whole.slice(0, length));
    expect(frames.every(({ owner, text }) => owner === "owner" && text === "text")).toBe(true);
  }
});

test("bytes that are no tag have no frames", () => {
  expect(readTag(new Uint8Array([1, 2, 3]))).toEqual({ frames: [], id: undefined });
  expect(readTag(new Uint8Array(64).fill(0xff)).frames).toEqual([]);
});

test("a payload in a playlist is base64 of UTF-8, or nothing", () => {
  expect(base64Text("eyJhIjoiw7wifQ==")).toBe('{"a":"ü"}');
  expect(base64Text("not base64!")).toBeUndefined();
  expect(base64Text("/w==")).toBeUndefined();
  expect(base64Text(undefined)).toBeUndefined();
});
