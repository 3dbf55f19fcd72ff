// What the test does to a server and its publisher: one face for the real server and for the stand-in.

import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { FPS, source } from "./picture.mjs";
import { StandIn } from "./stand-in.mjs";

const execute = promisify(execFile);

export class Server {
  #options;
  #publisher;
  /** The frame number goes on where the last publisher could at most have been. */
  #frames = 0;

  constructor(options) {
    for (const name of ["site", "ingest", "putMetadata"]) {
      if (!options[name]) throw new Error(`HEADWATER_BROWSER names no "${name}"`);
    }
    this.#options = options;
  }

  static async standIn() {
    const standIn = new StandIn();
    await standIn.listen();
    return {
      site: standIn.site,
      canRestart: true,
      publish: () => standIn.publish(),
      cut: () => standIn.cut(),
      end: () => standIn.end(),
      restart: () => standIn.restart(),
      putMetadata: (text) => standIn.putMetadata(text),
      close: () => standIn.close(),
    };
  }

  get site() {
    return this.#options.site;
  }

  get canRestart() {
    return this.#options.restartServer !== undefined;
  }

  publish() {
    const started = Date.now();
    const first = this.#frames;
    const publisher = spawn("ffmpeg", [...source({ first }), "-f", "flv", this.#options.ingest], { stdio: ["ignore", "ignore", "pipe"] });
    publisher.stderr.on("data", (text) => console.error(`ffmpeg: ${String(text).trim()}`));
    publisher.on("exit", () => {
      this.#frames = first + Math.ceil(((Date.now() - started) / 1000 + 1) * FPS);
    });
    this.#publisher = publisher;
  }

  /** Without a word: the connection is lost. */
  async cut() {
    await this.#stop("SIGKILL");
  }

  /** With RTMP's own goodbye, which ffmpeg says when it is interrupted. */
  async end() {
    await this.#stop("SIGINT");
  }

  async restart() {
    await this.cut();
    const [command, ...rest] = this.#options.restartServer;
    await execute(command, rest);
  }

  async putMetadata(text) {
    const [command, ...rest] = this.#options.putMetadata;
    await execute(command, [...rest, text]);
  }

  async close() {
    await this.#stop("SIGKILL");
  }

  async #stop(signal) {
    const publisher = this.#publisher;
    this.#publisher = undefined;
    if (!publisher || publisher.exitCode !== null || publisher.signalCode !== null) return;
    const gone = new Promise((resolve) => publisher.once("exit", resolve));
    publisher.kill(signal);
    await gone;
  }
}
