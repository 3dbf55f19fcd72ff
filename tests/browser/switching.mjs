// Switching between renditions in hls.js, in Shaka and in video.js: how far what is on the screen goes on as if nothing had been switched.
//
//   HEADWATER_SWITCHING='{…}' node switching.mjs against a running server; for each player ("hls.js", "shaka", "video.js") an object with
//     asleep     whether a rendition sleeps until it is first asked for
//     plain      whether the player reads whole segments only, and plays as far behind as it then does
//     channels   one for each try: `playback`, the multivariant playlist of a channel with a ladder, and `ingest`, where ffmpeg
//                publishes, stream key included
//
// Prints a line for each assertion and "N passed, N failed"; ends with 1 when one failed.

import { spawn } from "node:child_process";
import { launch } from "./journey.mjs";
import { hasSegments, pages, until } from "./pages.mjs";
import { COLUMNS, FPS, source, watch } from "./picture.mjs";
import { Report } from "./report.mjs";

/** Small, so that two cores encode it, encode its ladder and decode it with time to spare. */
const SOURCE = { width: 852, height: 480 };
/** Down and up, over one step and over all. 640 and 284 may be asleep when they are first wanted; the second 640 is awake. */
const WAY = [640, 852, 284, 852, 640];
/** A player that reads whole segments has so many of them before each switch comes onto the screen that it goes a shorter way; so does video.js. */
const SHORT_WAY = [640, 284, 852];
/** The encoder's distance of keyframes. */
const GOP_SECONDS = 1;
/**
 * What may be left out of the stream at a switch, in pictures, and how long one may stand: mostly nothing in hls.js, and, as in Shaka, less than a group of
 * pictures: it plays 0.6 s behind the live edge and fetches the group in which it is anew, from its beginning on: the browser cannot go over
 * to it before the next keyframe, and what it has of the old rendition ends before that. A rendition that wakes has more keyframes. video.js
 * throws away what it has and begins anew with a group.
 */
const PART = 6;
const GROUP = FPS * GOP_SECONDS - 1;
const AT_SWITCH = { "hls.js": { awake: GROUP, asleep: GROUP }, shaka: { awake: GROUP, asleep: GROUP }, "video.js": { awake: GROUP, asleep: GROUP } };
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
/**
 * Watched after each switch has come onto the screen. video.js over two ends of segments: there it reckons from a list that is older than
 * the playlist, and would stand if a request that comes too late were not answered with what is new.
 */
const AFTER_MS = { "hls.js": 1000, shaka: 1000, "video.js": 4500 };

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

/** What is missing in all steps, and the longest time that a picture stood in one. */
function together(steps) {
  return { missing: steps.reduce((sum, { missing }) => sum + missing, 0), stood: Math.max(0, ...steps.map(({ stood }) => stood)) };
}

/** The claims that hang on the machine's pace are pushed to `timed` and not reported. */
async function plays(name, { playback, ingest, asleep, plain }, browser, port, report, timed) {
  const publisher = publish(ingest);
  const context = await browser.newContext();
  const way = plain || name === "video.js" ? SHORT_WAY : WAY;
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
    for (const width of way) {
      const asked = Date.now();
      await tab.evaluate((width) => void choose(width), width);
      const came = await shows(width);
      timed.push([`${name}: ${width} comes onto the screen`, came, `${Date.now() - asked} ms after it was wanted`]);
      if (!came) return;
      await tab.waitForTimeout(AFTER_MS[name]);
    }
    const { frames, troubles, emptied } = await tab.evaluate(() => ({ frames: picture.frames, troubles, emptied: picture.emptied }));
    const found = judge(frames);
    const sizes = found.switches.map(({ to }) => to);
    report.check(`${name}: the picture changed its size when asked and at no other time`, String(sizes) === String(way), sizes.join(" "));
    report.check(`${name}: pictures go on and never back`, found.back === 0 && frames.length > 100, `${frames.length} pictures, ${found.back} steps back`);
    report.check(`${name}: every picture can be read`, found.unreadable === 0, `${found.unreadable} not`);
    for (const [index, { to, missing, step, stood }] of found.switches.entries()) {
      const wakes = asleep && to !== SOURCE.width && sizes.indexOf(to) === index;
      const most = plain ? AT_PLAIN_SWITCH : AT_SWITCH[name][wakes ? "asleep" : "awake"];
      const claim = `${name}: the switch to ${to}${wakes ? ", which was asleep," : ""} leaves out ${most} pictures and stands ${AT_SWITCH_STALL_MS} ms at most`;
      timed.push([claim, missing <= most && stood <= AT_SWITCH_STALL_MS, `${missing} missing; a step of ${step} after ${stood} ms`]);
    }
    timed.push([`${name}: at most ${ELSEWHERE.missing} pictures are missing elsewhere`, found.elsewhere <= ELSEWHERE.missing, `${found.elsewhere}`]);
    timed.push([`${name}: no picture stands for more than ${ELSEWHERE.stallMs} ms elsewhere`, found.stallMs <= ELSEWHERE.stallMs, `the longest stood ${Math.round(found.stallMs)} ms`]);
    report.check(`${name}: no request is refused`, refused.length === 0, refused.join(" "));
    report.check(`${name}: the player emptied its buffer once at most`, emptied <= 1, `${emptied} times`);
    timed.push([`${name}: the player had nothing to complain of`, troubles.every((text) => !text.includes("fatal")), troubles.join("; ")]);
  } finally {
    await context.close();
    await publisher.end();
  }
}

/**
 * Plays on one channel after another until the claims about pace hold: what a busy machine does to a player's pace only ever adds. What a
 * player must never do, it must not do in any of the tries.
 */
async function inPace(name, { asleep, plain, channels }, browser, port, report) {
  for (const [index, channel] of channels.entries()) {
    const timed = [];
    await plays(name, { ...channel, asleep, plain }, browser, port, report, timed);
    const missed = timed.filter(([, holds]) => !holds);
    if (missed.length === 0 || index === channels.length - 1) return timed.forEach((claim) => report.check(...claim));
    report.note(`try ${index + 1} of ${channels.length} was too slow: ${missed.map(([claim, , fact]) => `${claim} — ${fact}`).join("; ")}`);
  }
}

function publish(ingest) {
  const ffmpeg = spawn("ffmpeg", [...source({ ...SOURCE, gopSeconds: GOP_SECONDS }), "-f", "flv", ingest], { stdio: ["ignore", "ignore", "pipe"] });
  ffmpeg.stderr.on("data", (text) => console.error(`ffmpeg: ${String(text).trim()}`));
  const gone = new Promise((resolve) => ffmpeg.once("exit", resolve));
  return { end: () => (ffmpeg.kill("SIGKILL"), gone) };
}

const players = JSON.parse(process.env.HEADWATER_SWITCHING ?? "null");
if (!players) {
  console.error("nothing to test: set HEADWATER_SWITCHING (see the top of switching.mjs)");
  process.exit(2);
}
const report = new Report();
const server = await pages();
const browser = await launch({});
try {
  for (const [name, channels] of Object.entries(players)) await inPace(name, channels, browser, server.address().port, report);
} catch (error) {
  report.broke(error);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
report.close();
process.exit(report.failed > 0 ? 1 : 0);
