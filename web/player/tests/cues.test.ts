import { expect, test } from "vitest";
import { CueTimeline, type TimedCue } from "../src/cues";

function timeline(): { cues: CueTimeline; fired: string[] } {
  const fired: string[] = [];
  return { cues: new CueTimeline((cue) => fired.push(cue.text)), fired };
}

function cue(text: string, startTime: number, id: string | undefined = text): TimedCue {
  return { id, clock: "media", startTime, endTime: startTime, text, owner: "metadata.live-video.net" };
}

test("a cue fires when the playhead is there, and not before", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("a", 11));
  cues.advance(10.99);
  expect(fired).toEqual([]);
  cues.advance(11);
  expect(fired).toEqual(["a"]);
});

test("copies of one cue, by tag and by playlist, fire once", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("a", 11, "id-1"));
  cues.add(cue("a", 11.02, "id-1"));
  cues.advance(12);
  cues.add(cue("a", 11, "id-1"));
  cues.advance(13);
  expect(fired).toEqual(["a"]);
});

test("copies without a common id are known by their text and time", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add({ ...cue("a", 11), id: undefined });
  cues.add(cue("a", 11.05, "id-1"));
  cues.advance(12);
  cues.add(cue("a", 11.05, "id-1"));
  cues.advance(13);
  expect(fired).toEqual(["a"]);
});

test("the same text put twice fires twice", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("a", 11, "id-1"));
  cues.add(cue("a", 11.05, "id-2"));
  cues.advance(12);
  expect(fired).toEqual(["a", "a"]);
});

test("cues fire in the order of their times, whatever the order of arrival", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("late", 11.4));
  cues.add(cue("early", 11.2));
  cues.advance(12);
  expect(fired).toEqual(["early", "late"]);
});

test("a later copy moves a waiting cue to the better time", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("a", 11));
  cues.add(cue("a", 11.5));
  cues.advance(11.2);
  expect(fired).toEqual([]);
  cues.advance(11.5);
  expect(fired).toEqual(["a"]);
});

test("the media's clock is not overruled by dates", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add({ ...cue("a", 11.3), clock: "date" });
  cues.add(cue("a", 11));
  cues.add({ ...cue("a", 11.3), clock: "date" });
  cues.advance(11);
  expect(fired).toEqual(["a"]);
});

test("who joins late is not given what was before", () => {
  const { cues, fired } = timeline();
  cues.add(cue("before", 9));
  cues.advance(10);
  cues.add(cue("before too", 9.9));
  cues.advance(10.1);
  expect(fired).toEqual([]);
});

test("a cue that arrives just after its time fires at once", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.advance(12);
  cues.add(cue("a", 11.8));
  cues.advance(12);
  expect(fired).toEqual(["a"]);
});

test("a jump to the live edge fires what it passed, unless it is old news", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("old", 12));
  cues.add(cue("recent", 55));
  cues.advance(60);
  expect(fired).toEqual(["recent"]);
});

test("seeking back does not fire again", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("a", 11));
  cues.advance(12);
  cues.advance(10.5);
  cues.add(cue("a", 11));
  cues.advance(12);
  expect(fired).toEqual(["a"]);
});

test("on another timeline a fired id stays fired and times begin anew", () => {
  const { cues, fired } = timeline();
  cues.advance(100);
  cues.add(cue("a", 101));
  cues.advance(102);
  cues.restart();
  cues.advance(1);
  cues.add(cue("a", 2));
  cues.add(cue("b", 2));
  cues.advance(3);
  expect(fired).toEqual(["a", "b"]);
});

test("a cue without a time is not kept", () => {
  const { cues, fired } = timeline();
  cues.advance(10);
  cues.add(cue("a", Number.NaN));
  expect(cues.next()).toBeUndefined();
  cues.advance(20);
  expect(fired).toEqual([]);
});
