// An encoder that is cut off and comes back within the reconnect window, in Shaka: that it goes on, and changes the rendition afterwards as ever.
//
//   HEADWATER_OUTAGE='{…}' node outage.mjs against a running server; an object with
//     seconds    how long the encoder is away
//     channels   one for each try: `playback`, the multivariant playlist of a channel with a ladder, and `ingest`, where ffmpeg
//                publishes, stream key included
//
// Prints a line for each assertion and "N passed, N failed"; ends with 1 when one failed.

import { hasSegments, inBrowser, inPace, publish, until } from "./pages.mjs";
import { COLUMNS, FPS, watch } from "./picture.mjs";

/** With one further rendition, so that two cores have time to spare. */
const SOURCE = { width: 640, height: 360 };
const SMALL = 284;
/** After the encoder's return: in the window both sides of the outage are listed, then only one. */
const SWITCHES = [[3000, SMALL], [10_000, SOURCE.width], [24_000, SMALL]];
const AFTER_MS = 3000;
/** As in switching.mjs. */
const SEGMENTS = 4;
const AT_SWITCH_STALL_MS = 1500;
/** An encoder that comes back has its first part after 200 ms, and a player asks for it within a second. ffmpeg takes its time to begin. */
const RETURN_MS = 5000;

/** The longest time that a picture stood from then on, ms; until now if it still stands. */
function stood(frames, since, now) {
  const times = [...frames.map(({ at }) => at).filter((at) => at > since), now];
  return Math.max(...times.map((at, index) => at - Math.max(since, times[index - 1] ?? since)));
}

/** The claims that hang on the machine's pace are pushed to `timed` and not reported. */
async function outlasts(seconds, { playback, ingest }, browser, port, report, timed) {
  const started = Date.now();
  let publisher = publish(ingest, SOURCE);
  const context = await browser.newContext();
  try {
    const tab = await context.newPage();
    await tab.addInitScript(watch, { columns: COLUMNS, fps: FPS });
    report.check("the channel is live", await hasSegments(playback, SEGMENTS));
    await tab.goto(`http://127.0.0.1:${port}/?${new URLSearchParams({ player: "shaka", url: playback })}`);
    const began = await until(tab, (width) => picture.frames.at(-1)?.width === width, SOURCE.width);
    timed.push(["the source plays", began, JSON.stringify(await tab.evaluate(() => troubles))]);
    if (!began) return;
    await tab.waitForTimeout(3000);
    await publisher.cut();
    const cut = Date.now();
    await tab.waitForTimeout(seconds * 1000);
    // The picture's number goes on with the time.
    const first = Math.ceil(((Date.now() - started) / 1000) * FPS);
    publisher = publish(ingest, { ...SOURCE, first });
    const back = Date.now();
    const asked = [];
    for (const [ms, width] of SWITCHES) {
      await tab.waitForTimeout(Math.max(0, back + ms - Date.now()));
      asked.push({ at: Date.now(), width });
      await tab.evaluate((width) => void choose(width), width);
    }
    await tab.waitForTimeout(AFTER_MS);
    const now = Date.now();
    const { frames, troubles } = await tab.evaluate(() => ({ frames: picture.frames, troubles }));
    const resumed = frames.find(({ number }) => number >= first)?.at ?? now;
    timed.push(["the picture comes back with the encoder", resumed - back < RETURN_MS, `${Math.round(resumed - back)} ms after it, ${Math.round(resumed - cut)} ms after it went`]);
    const steps = frames.slice(1).filter(({ number }, index) => number < frames[index].number);
    report.check("pictures go on and never back", steps.length === 0, `${frames.length} pictures, ${steps.length} steps back`);
    for (const [index, { at, width }] of asked.entries()) {
      const end = asked[index + 1]?.at ?? now;
      const within = frames.filter((frame) => frame.at > at && frame.at <= end);
      const came = within.find((frame) => frame.width === width);
      const name = `${SWITCHES[index][0] / 1000} s after its return a switch to ${width}`;
      timed.push([`${name} comes onto the screen`, came !== undefined, came ? `after ${Math.round(came.at - at)} ms` : troubles.join("; ")]);
      const longest = stood(within, at, end);
      timed.push([`${name} stands ${AT_SWITCH_STALL_MS} ms at most`, longest <= AT_SWITCH_STALL_MS, `${Math.round(longest)} ms`]);
    }
  } finally {
    await context.close();
    await publisher.cut();
  }
}

await inBrowser("HEADWATER_OUTAGE", ({ seconds, channels }, browser, port, report) =>
  inPace(channels, (channel, timed) => outlasts(seconds, channel, browser, port, report, timed), report),
);
