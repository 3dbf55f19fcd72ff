// The test picture: a moving pattern with a machine-readable frame number, drawn by ffmpeg and read from a canvas.
//
// Along the top run COLUMNS blocks in two rows. The first four are 1 0 1 0, the others the frame number, most significant bit
// first; white is 1. The second row is the first one inverted, so that a half-painted or blurred strip is not taken for a number.

export const FPS = 30;
const BITS = 20;
export const COLUMNS = BITS + 4;

/** ffmpeg's video filter for a picture of `width` pixels whose first frame has the number `first`. */
export function strip(width, first = 0) {
  const edge = (blocks) => Math.round((blocks * width) / COLUMNS);
  const box = (column, row, when) =>
    `drawbox=x=${edge(column)}:y=${edge(row)}:w=${edge(column + 1) - edge(column)}:h=${edge(row + 1) - edge(row)}:c=white:t=fill${when}`;
  const filters = [`drawbox=x=0:y=0:w=${width}:h=${edge(2)}:c=black:t=fill`];
  for (const [column, bit] of [1, 0, 1, 0].entries()) filters.push(box(column, bit ? 0 : 1, ""));
  for (let bit = 0; bit < BITS; bit += 1) {
    const column = COLUMNS - 1 - bit;
    const set = `mod(floor((n+${first})/${2 ** bit}),2)`;
    filters.push(box(column, 0, `:enable='${set}'`), box(column, 1, `:enable='not(${set})'`));
  }
  return filters.join(",");
}

/** ffmpeg's arguments up to the encoded picture and tone, in real time. */
export function source({ width = 960, height = 540, first = 0, gopSeconds = 1 } = {}) {
  return [
    "-hide_banner", "-loglevel", "error", "-nostdin",
    "-re", "-f", "lavfi", "-i", `testsrc2=size=${width}x${height}:rate=${FPS}`,
    "-re", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000,volume=0.1",
    "-vf", `${strip(width, first)},format=yuv420p`,
    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline",
    "-b:v", "1500k", "-g", String(FPS * gopSeconds), "-keyint_min", String(FPS * gopSeconds), "-sc_threshold", "0",
    "-c:a", "aac", "-b:a", "96k", "-ac", "2",
  ];
}

/**
 * Runs in the page before its own scripts. Keeps, for each painted frame, its media time, number and width in `window.picture.frames`
 * (`presented` counts those too that the page was not told of, `dropped` those that came too late for the screen), and in
 * `window.picture.shown` what was on the screen when the question appeared.
 */
export function watch({ columns, fps }) {
  const picture = (window.picture = { frames: [], shown: [], emptied: 0, violations: [] });
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = 2;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const read = (video) => {
    // The strip is as wide as the picture, whatever size a rendition has.
    const block = video.videoWidth / columns;
    if (block === 0) return undefined;
    // Without smoothing, each pixel of the canvas is the middle of a block.
    context.imageSmoothingEnabled = false;
    context.drawImage(video, 0, 0, block * columns, block * 2, 0, 0, columns, 2);
    const { data } = context.getImageData(0, 0, columns, 2);
    const bits = [];
    for (let column = 0; column < columns; column += 1) {
      const upper = data[column * 4] > 127;
      if (upper === data[(columns + column) * 4] > 127) return undefined;
      bits.push(upper ? 1 : 0);
    }
    if (bits.slice(0, 4).join("") !== "1010") return undefined;
    return bits.slice(4).reduce((sum, bit) => sum * 2 + bit, 0);
  };
  picture.read = () => read(document.querySelector("video"));
  document.addEventListener("securitypolicyviolation", (event) => picture.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  document.addEventListener("DOMContentLoaded", () => {
    const video = document.querySelector("video");
    video.addEventListener("emptied", () => (picture.emptied += 1));
    const frame = (_, { mediaTime, presentedFrames: presented }) => {
      const { droppedVideoFrames: dropped } = video.getVideoPlaybackQuality();
      picture.frames.push({ at: performance.timeOrigin + performance.now(), mediaTime, number: read(video), width: video.videoWidth, presented, dropped });
      if (picture.frames.length > 60 * fps) picture.frames.shift();
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
    const poll = document.getElementById("poll");
    if (!poll) return;
    new MutationObserver(() => {
      if (poll.hidden) return;
      const { currentTime } = video;
      // Painted with the next frame of the page; what the video shows is read there.
      requestAnimationFrame(() => {
        picture.shown.push({
          question: document.getElementById("poll-question").textContent,
          cueTime: Number(poll.dataset.mediaTime),
          currentTime,
          number: read(video),
        });
      });
    }).observe(poll, { attributes: true, attributeFilter: ["hidden", "data-media-time"] });
  });
}
