// Runs in the page before its own scripts: notes each presented frame with the clock that its pixels show, and what the element says.
//
// `window.glass` holds `frames` as [shown (Unix ms), clock in the pixels (ms, or -1), media time (s)] and `events` as
// [at (Unix ms), name, playback rate]; `first` is the number of ms from the start of the navigation to the first presented frame.

/** Made of text, since a page takes one function with no surroundings. */
export function script(columns, read, check) {
  return `(${install})(${JSON.stringify(columns)}, ${read}, ${check});`;
}

function install(columns, read, check) {
  const glass = (window.glass = { frames: [], events: [], first: undefined, unreadable: 0, emptied: 0, dropped: 0, presented: 0 });
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = 2;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const unix = (now) => Date.now() - performance.now() + now;
  const watch = (video) => {
    for (const name of ["waiting", "playing", "ratechange", "seeking", "emptied", "pause", "error"]) {
      video.addEventListener(name, () => glass.events.push([Date.now(), name, video.playbackRate]));
    }
    const frame = (now, { expectedDisplayTime, mediaTime, presentedFrames }) => {
      const shown = Math.max(now, expectedDisplayTime);
      glass.first ??= shown;
      const clock = read(video, context, columns, check);
      glass.frames.push([unix(shown), clock ?? -1, mediaTime]);
      glass.presented = presentedFrames;
      glass.dropped = video.getVideoPlaybackQuality().droppedVideoFrames;
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
  };
  /** What was noted since the last call. */
  glass.take = () => {
    const { frames, events, first, dropped, presented } = glass;
    glass.frames = [];
    glass.events = [];
    return { frames, events, first, dropped, presented };
  };
  const found = () => {
    const video = document.querySelector("video");
    if (video) watch(video);
    return video !== null;
  };
  const observer = new MutationObserver(() => found() && observer.disconnect());
  observer.observe(document, { childList: true, subtree: true });
}
