// A Headwater of its own for a measurement: the given binary on free loopback ports with a fresh data folder, and a channel in it.

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);
const START_MS_MAX = 30_000;
const STOP_MS_MAX = 12_000;

function template(latency) {
  return `
Resources:
  Channel: {Type: 'AWS::IVS::Channel', Properties: {Name: glass, Type: BASIC, LatencyMode: ${latency}, InsecureIngest: true}}
  StreamKey: {Type: 'AWS::IVS::StreamKey', Properties: {ChannelArn: !Ref Channel}}
  Site: {Type: 'Headwater::Live::Site', Properties: {Name: glass-${latency.toLowerCase()}, ChannelArn: !Ref Channel, Title: Glass}}
Outputs:
  StreamKey: {Value: !GetAtt StreamKey.Value}
  Site: {Value: !GetAtt Site.WebsiteUrl}
  Playback: {Value: !GetAtt Channel.PlaybackUrl}
`;
}

export class Headwater {
  #binary;
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), "headwater-glass-"));
  #process;
  #addresses;

  constructor(binary) {
    this.#binary = binary;
  }

  get pid() {
    return this.#process.pid;
  }

  get webPort() {
    return Number(new URL(this.#addresses.web_url).port);
  }

  async start() {
    const free = ["api", "web", "rtmp"].flatMap((name) => [`--listen-${name}`, "127.0.0.1:0"]);
    const log = fs.openSync(path.join(this.#folder, "server.log"), "a");
    const server = spawn(this.#binary, ["--data", this.#data, ...free, "--listen-tls", "off", "serve"], { cwd: this.#folder, stdio: ["ignore", log, log], env: environment() });
    fs.closeSync(log);
    this.#process = server;
    const failed = new Promise((_, reject) => server.once("error", reject));
    await Promise.race([this.#ready(), failed]);
    return this;
  }

  /** A channel with a site: `{ site, playback, ingest }`. */
  async deploy(latency) {
    const file = path.join(this.#folder, `${latency}.yaml`);
    fs.writeFileSync(file, template(latency));
    const stack = `glass-${latency.toLowerCase()}`;
    await this.#cli("deploy", file, "--stack-name", stack);
    const outputs = JSON.parse(await this.#cli("outputs", stack, "--json"));
    const value = (key) => outputs.find((output) => output.key === key).value;
    return { site: `${value("Site").replace(/\/$/, "")}/`, playback: value("Playback"), ingest: `rtmp://127.0.0.1:${this.#addresses.rtmp_port}/app/${value("StreamKey")}` };
  }

  async stop() {
    const server = this.#process;
    if (server && server.exitCode === null && server.signalCode === null) {
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      const timer = setTimeout(() => server.kill("SIGKILL"), STOP_MS_MAX);
      await gone;
      clearTimeout(timer);
    }
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  get #data() {
    return path.join(this.#folder, "data");
  }

  async #ready() {
    const file = path.join(this.#data, "server.json");
    const deadline = Date.now() + START_MS_MAX;
    while (Date.now() < deadline) {
      if (this.#process.exitCode !== null) throw new Error(`the server ended with ${this.#process.exitCode}: ${this.#said()}`);
      if (fs.existsSync(file)) {
        const addresses = JSON.parse(fs.readFileSync(file, "utf8"));
        if (addresses.pid === this.#process.pid) return void (this.#addresses = addresses);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the server did not start: ${this.#said()}`);
  }

  #said() {
    return fs.readFileSync(path.join(this.#folder, "server.log"), "utf8").slice(-2000);
  }

  async #cli(...command) {
    const { stdout } = await execute(this.#binary, ["--data", this.#data, ...command], { cwd: this.#folder, env: environment() });
    return stdout;
  }
}

/** The caller's, without settings that would reach into this server. */
function environment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(HEADWATER_|AWS_)/.test(name)));
}
