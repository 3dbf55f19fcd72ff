// A camera and its encoder: pictures that carry the moment of their making, with a tone, in real time into ffmpeg and out by RTMP.

import { spawn } from "node:child_process";
import { COLUMNS, Picture } from "./clock.mjs";

/** The raw picture is small, so that writing it costs nothing, and ffmpeg enlarges it without smoothing. */
const RAW = { width: COLUMNS * 8, height: 180 };
const ENLARGED = 4;
const SAMPLE_RATE = 48_000;
/** The tone is made this much before its picture: a muxer holds each picture until sound of the same time has come. */
const SOUND_AHEAD_S = 0.1;
/** Frames that may wait for ffmpeg; more are left out. */
const FRAMES_HELD_MAX = 2;
export class Camera {
  #ffmpeg;
  #timer;
  #options;
  /** Frames that were left out because the encoder had not taken the ones before: it is too slow for this machine. */
  left = 0;
  /** What ffmpeg said last. */
  trouble = "";

  constructor(target, { fps = 30, kbps = 2500, gopSeconds = 2 } = {}) {
    this.#options = { target, fps, kbps, gopSeconds };
  }

  start() {
    const { target, fps, kbps, gopSeconds } = this.#options;
    const { width, height } = RAW;
    const gop = String(Math.round(fps * gopSeconds));
    const ffmpeg = spawn(
      "ffmpeg",
      [
        "-hide_banner", "-loglevel", "error", "-nostdin", "-fflags", "nobuffer",
        "-probesize", "32", "-analyzeduration", "0", "-f", "rawvideo", "-pix_fmt", "gray", "-video_size", `${width}x${height}`, "-framerate", String(fps), "-i", "pipe:0",
        "-probesize", "32", "-analyzeduration", "0", "-f", "s16le", "-ar", String(SAMPLE_RATE), "-ac", "1", "-i", "pipe:3",
        "-map", "0:v", "-map", "1:a", "-vf", `scale=${width * ENLARGED}:${height * ENLARGED}:flags=neighbor,format=yuv420p`,
        "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "main",
        "-b:v", `${kbps}k`, "-maxrate", `${kbps}k`, "-bufsize", `${kbps}k`, "-g", gop, "-keyint_min", gop, "-sc_threshold", "0",
        "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-flush_packets", "1", "-f", "flv", target,
      ],
      { stdio: ["pipe", "ignore", "pipe", "pipe"] },
    );
    this.#ffmpeg = ffmpeg;
    ffmpeg.stderr.on("data", (text) => (this.trouble = (this.trouble + text).slice(-2000)));
    const [pictures, sound] = [ffmpeg.stdin, ffmpeg.stdio[3]];
    for (const pipe of [pictures, sound]) pipe.on("error", () => this.#stopDrawing());
    sound.write(tone(0, SOUND_AHEAD_S));
    const picture = new Picture(width, height);
    const began = performance.now();
    let number = 0;
    const draw = () => {
      const behind = performance.now() - began - (number * 1000) / fps;
      if (behind < 0) return this.#later(draw, -behind);
      if (pictures.writableLength > FRAMES_HELD_MAX * width * height) {
        // With its sound, so that both stay in step; a queue here would be counted as the server's latency.
        this.left += 1;
      } else {
        sound.write(tone(SOUND_AHEAD_S + number / fps, 1 / fps));
        // A copy: the next picture is drawn into the same buffer.
        pictures.write(Buffer.from(picture.draw(Date.now(), number)));
      }
      number += 1;
      return this.#later(draw, (number * 1000) / fps - (performance.now() - began));
    };
    draw();
    return this;
  }

  get running() {
    return this.#ffmpeg !== undefined && this.#ffmpeg.exitCode === null && this.#ffmpeg.signalCode === null;
  }

  /** With RTMP's own goodbye. */
  async stop() {
    this.#stopDrawing();
    if (!this.running) return;
    const gone = new Promise((resolve) => this.#ffmpeg.once("exit", resolve));
    this.#ffmpeg.kill("SIGINT");
    const timer = setTimeout(() => this.#ffmpeg.kill("SIGKILL"), 3000);
    await gone;
    clearTimeout(timer);
  }

  #later(run, ms) {
    this.#timer = setTimeout(run, Math.max(0, ms));
  }

  #stopDrawing() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function tone(fromS, seconds) {
  const first = Math.round(fromS * SAMPLE_RATE);
  const count = Math.round((fromS + seconds) * SAMPLE_RATE) - first;
  const samples = Buffer.alloc(count * 2);
  for (let i = 0; i < count; i += 1) samples.writeInt16LE(Math.round(3000 * Math.sin((2 * Math.PI * 330 * (first + i)) / SAMPLE_RATE)), i * 2);
  return samples;
}
