// Switching between renditions in hls.js and in Shaka: how far what is on the screen goes on as if nothing had been switched. video.js only plays.
//
//   HEADWATER_SWITCHING='{…}' node switching.mjs against a running server; for each player ("hls.js", "shaka", "video.js") an object with
//     asleep     whether a rendition sleeps until it is first asked for
//     plain      whether the player reads whole segments only, and plays as far behind as it then does
//     channels   one for each try: `playback`, the multivariant playlist of a channel with a ladder, and `ingest`, where ffmpeg
//                publishes, stream key included
//
// Prints a line for each assertion and "N passed, N failed"; ends with 1 when one failed.

import { hasSegments, inBrowser, inPace, publish, until } from "./pages.mjs";
import { COLUMNS, FPS, watch } from "./picture.mjs";

/** Small, so that two cores encode it, encode its ladder and decode it with time to spare. */
const SOURCE = { width: 852, height: 480 };
/** Down and up, over one step and over all. 640 and 284 may be asleep when they are first wanted; the second 640 is awake. */
const WAY = [640, 852, 284, 852, 640];
/** A player that reads whole segments has so many of them before each switch comes onto the screen that it goes a shorter way. */
const PLAIN_WAY = [640, 284, 852];
/** The encoder's distance of keyframes. */
const GOP_SECONDS = 1;
/**
 * What may be left out of the stream at a switch, in pictures, and how long one may stand: in hls.js a part. In Shaka less than a group of
 * pictures: it plays 0.6 s behind the live edge and fetches the group in which it is anew, from its beginning on: the browser cannot go over
 * to it before the next keyframe, and what it has of the old rendition ends before that. A rendition that wakes has more keyframes.
 */
const PART = 6;
const GROUP = FPS * GOP_SECONDS - 1;
const AT_SWITCH = { "hls.js": { awake: PART, asleep: PART }, shaka: { awake: GROUP, asleep: GROUP } };
/**
 * hls.js in low latency fetches the group in which its buffer ends, 18 to 30 pictures ahead. If the browser has decoded past that group's beginning
 * by then, some seven pictures ahead, it goes over at the next keyframe, and what lies between is in neither rendition. So it matters at which
 * picture of a group the switch is asked for: at these the bound above holds; once more it is asked for where it does not.
 */
const GOOD_PLACE = [15, 20];
const BAD_PLACE = { place: [24, 28], to: 852, missing: GROUP };
/** One that reads whole segments goes over where one ends. A busy machine may miss a picture. */
const AT_PLAIN_SWITCH = 1;
const AT_SWITCH_STALL_MS = GOP_SECONDS * 1000 + 500;
/** The same where nothing is switched. */
const ELSEWHERE = { missing: PART, stallMs: 500 };
/**
 * The stream is as old as that when the player comes. Shaka 5.2 looks for captions in three segments of a new stream, takes the one that
 * has parts only for one of them if there are fewer, and breaks off, since that one has no address yet.
 */
const SEGMENTS = 4;
/** Watched after each switch has come onto the screen. */
const AFTER_MS = 1000;
/**
 * video.js is watched over four ends of segments and keeps its rendition: when it changes it in low latency, VHS now and then asks for the new
 * playlist once and never again. At an end it reckons from a list that is older than the playlist, and would stand if a request that comes too late
 * were not answered with what is new.
 */
const STEADY_MS = 9000;

/**
 * What the frames tell, in order: steps of the number, of the time on the screen and of the size. What is missing or stands within a group
 * of pictures before another size is the switch's: a player that fetches a group anew may show a last picture of the old one after it.
 */
function judge(frames) {
  const found = { unreadable: 0, back: 0, switches: [] };
  let steps = [];
  let before;
  for (const frame of frames) {
    if (frame.number === undefined) found.unreadable += 1;
    if (before) {
      const stood = frame.at - before.at;
      if (frame.number < before.number) found.back += 1;
      // Pictures that were decoded but not shown, or not told of, were not missing in the stream.
      const untold = frame.presented - before.presented - 1 + (frame.dropped - before.dropped);
      const missing = Math.max(0, frame.number - before.number - 1 - untold);
      steps.push({ mediaTime: frame.mediaTime, missing, stood });
      if (frame.width !== before.width) {
        const since = frame.mediaTime - GOP_SECONDS;
        const { missing, stood } = together(steps.filter(({ mediaTime }) => mediaTime >= since));
        steps = steps.filter(({ mediaTime }) => mediaTime < since);
        found.switches.push({ to: frame.width, missing, stood: Math.round(stood), step: frame.number - before.number });
      }
    }
    before = frame;
  }
  const elsewhere = together(steps);
  return { ...found, elsewhere: elsewhere.missing, stallMs: elsewhere.stood };
}

/** Waits until the picture on the screen is at one of these places in its group. */
function atPlace(tab, span) {
  const isThere = ([group, [first, last]]) => {
    const place = (picture.frames.at(-1)?.number ?? -1) % group;
    return first <= place && place <= last;
  };
  return tab.waitForFunction(isThere, [FPS * GOP_SECONDS, span], { polling: "raf" });
}

/** What is missing in all steps, and the longest time that a picture stood in one. */
function together(steps) {
  return { missing: steps.reduce((sum, { missing }) => sum + missing, 0), stood: Math.max(0, ...steps.map(({ stood }) => stood)) };
}

/** The claims that hang on the machine's pace are pushed to `timed` and not reported. */
async function plays(name, { playback, ingest, asleep, plain }, browser, port, report, timed) {
  const publisher = publish(ingest, { ...SOURCE, gopSeconds: GOP_SECONDS });
  const context = await browser.newContext();
  const byPlace = name === "hls.js" && !plain;
  const steady = name === "video.js";
  const way = steady ? [] : plain ? PLAIN_WAY : byPlace ? [...WAY, BAD_PLACE.to] : WAY;
  try {
    const tab = await context.newPage();
    const refused = [];
    tab.on("response", (answer) => {
      if (answer.status() >= 400 && answer.url().includes("/media/")) refused.push(`${answer.status()} ${new URL(answer.url()).pathname}`);
    });
    tab.on("pageerror", (error) => report.check(`${name}: no error in the page`, false, String(error)));
    await tab.addInitScript(watch, { columns: COLUMNS, fps: FPS });
    report.check(`${name}: the channel is live`, await hasSegments(playback, SEGMENTS));
    await tab.goto(`http://127.0.0.1:${port}/?${new URLSearchParams({ player: name, url: playback, ...(plain && { plain }) })}`);
    const shows = (width) => until(tab, (width) => picture.frames.at(-1)?.width === width, width);
    const began = await shows(SOURCE.width);
    timed.push([`${name}: the source plays`, began, JSON.stringify(await tab.evaluate(() => [window.widths, troubles]))]);
    if (!began) return;
    await tab.waitForTimeout(2000);
    // The beginning, with its way to the live edge, is not what is tested.
    await tab.evaluate(() => picture.frames.splice(0, picture.frames.length - 1));
    if (steady) await tab.waitForTimeout(STEADY_MS);
    for (const [index, width] of way.entries()) {
      if (byPlace) await atPlace(tab, index < WAY.length ? GOOD_PLACE : BAD_PLACE.place);
      const asked = Date.now();
      await tab.evaluate((width) => void choose(width), width);
      const came = await shows(width);
      timed.push([`${name}: ${width} comes onto the screen`, came, `${Date.now() - asked} ms after it was wanted`]);
      if (!came) return;
      await tab.waitForTimeout(AFTER_MS);
    }
    const { frames, troubles, emptied } = await tab.evaluate(() => ({ frames: picture.frames, troubles, emptied: picture.emptied }));
    const found = judge(frames);
    const sizes = found.switches.map(({ to }) => to);
    report.check(`${name}: the picture changed its size when asked and at no other time`, String(sizes) === String(way), sizes.join(" "));
    report.check(`${name}: pictures go on and never back`, found.back === 0 && frames.length > 100, `${frames.length} pictures, ${found.back} steps back`);
    report.check(`${name}: every picture can be read`, found.unreadable === 0, `${found.unreadable} not`);
    for (const [index, { to, missing, step, stood }] of found.switches.entries()) {
      const wakes = asleep && to !== SOURCE.width && sizes.indexOf(to) === index;
      const bad = byPlace && index === WAY.length;
      const most = bad ? BAD_PLACE.missing : plain ? AT_PLAIN_SWITCH : AT_SWITCH[name][wakes ? "asleep" : "awake"];
      const claim = `${name}: the switch to ${to}${wakes ? ", which was asleep," : ""}${bad ? ", asked for shortly before a group's end," : ""} leaves out ${most} pictures and stands ${AT_SWITCH_STALL_MS} ms at most`;
      timed.push([claim, missing <= most && stood <= AT_SWITCH_STALL_MS, `${missing} missing; a step of ${step} after ${stood} ms`]);
    }
    timed.push([`${name}: at most ${ELSEWHERE.missing} pictures are missing elsewhere`, found.elsewhere <= ELSEWHERE.missing, `${found.elsewhere}`]);
    timed.push([`${name}: no picture stands for more than ${ELSEWHERE.stallMs} ms elsewhere`, found.stallMs <= ELSEWHERE.stallMs, `the longest stood ${Math.round(found.stallMs)} ms`]);
    report.check(`${name}: no request is refused`, refused.length === 0, refused.join(" "));
    report.check(`${name}: the player emptied its buffer once at most`, emptied <= 1, `${emptied} times`);
    timed.push([`${name}: the player had nothing to complain of`, troubles.every((text) => !text.includes("fatal")), troubles.join("; ")]);
  } finally {
    await context.close();
    await publisher.cut();
  }
}

await inBrowser("HEADWATER_SWITCHING", async (players, browser, port, report) => {
  for (const [name, { channels, ...how }] of Object.entries(players)) {
    await inPace(channels, (channel, timed) => plays(name, { ...channel, ...how }, browser, port, report, timed), report);
  }
});
