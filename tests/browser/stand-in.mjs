// A stand-in for Headwater's web listener, for working on the player and the site without the server: one channel, low-latency
// HLS from ffmpeg's fragments, timed metadata, and the interaction addresses. It has the addresses of the real one and keeps
// nothing. It is a fixture: where it differs from the server, the server is right.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { source } from "./picture.mjs";

const DIST = new URL("../../web/dist/", import.meta.url).pathname;
const PART_S = 0.2;
const WINDOW_SEGMENTS = 8;
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

/** Calls `found(type, box)` for each whole box in a stream of bytes. */
function boxes(found) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 8 && rest.length >= rest.readUInt32BE(0)) {
      const size = rest.readUInt32BE(0);
      found(rest.toString("latin1", 4, 8), rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  };
}

function child(box, ...names) {
  let at = 8;
  while (at < box.length) {
    const size = box.readUInt32BE(at);
    if (box.toString("latin1", at + 4, at + 8) === names[0]) {
      const inner = box.subarray(at, at + size);
      return names.length === 1 ? inner : child(inner, ...names.slice(1));
    }
    at += size;
  }
  return undefined;
}

function emsg(id, timescale, time, text) {
  const priv = Buffer.concat([Buffer.from("metadata.live-video.net\0"), Buffer.from(text)]);
  const syncsafe = (n) => Buffer.from([(n >> 21) & 0x7f, (n >> 14) & 0x7f, (n >> 7) & 0x7f, n & 0x7f]);
  const frame = (name, content) => Buffer.concat([Buffer.from(name), syncsafe(content.length), Buffer.alloc(2), content]);
  const frames = Buffer.concat([frame("PRIV", priv), frame("TXXX", Buffer.from(`\x03headwater.cue-id\0${id}`))]);
  const tag = Buffer.concat([Buffer.from([0x49, 0x44, 0x33, 4, 0, 0]), syncsafe(frames.length), frames]);
  const fixed = Buffer.alloc(20);
  fixed.writeUInt32BE(timescale, 0);
  fixed.writeBigUInt64BE(BigInt(time), 4);
  fixed.writeUInt32BE(0, 12);
  fixed.writeUInt32BE(1, 16);
  const body = Buffer.concat([Buffer.from([1, 0, 0, 0]), fixed, Buffer.from(`https://aomedia.org/emsg/ID3\0\0`), tag]);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.write("emsg", 4);
  return Buffer.concat([head, body]);
}

class Session {
  epoch = randomBytes(14).toString("hex");
  inits = [];
  segments = [];
  ended = false;
  waiting = new Set();
  cues = [];
  pending = [];
  firstMsn = 0;

  discontinuity() {
    const last = this.segments.at(-1);
    if (last) last.open = false;
    this.broken = this.segments.length > 0;
  }

  init(bytes) {
    this.inits.push(bytes);
  }

  /** One fragment of ffmpeg: a part, or the first one of a segment. */
  part(moof, mdat) {
    const tfdt = child(moof, "traf", "tfdt");
    const time = Number(tfdt.readBigUInt64BE(12));
    const flags = child(moof, "traf", "trun").readUInt32BE(8) & 0xffffff;
    const key = (flags & 4) !== 0;
    let segment = this.segments.at(-1);
    if (!segment?.open || key) {
      if (segment) segment.open = false;
      const msn = this.firstMsn + this.segments.length;
      segment = { msn, parts: [], open: true, init: this.inits.length - 1, pdt: Date.now() - PART_S * 1000, discontinuity: this.broken };
      this.broken = false;
      this.segments.push(segment);
    }
    const events = this.pending.splice(0).map(({ id, text }) => {
      this.cues.push({ id, text, date: new Date(segment.pdt + segment.parts.reduce((sum, part) => sum + part.duration, 0) * 1000) });
      return emsg(id, this.timescale, time, text);
    });
    // One part late: only then is its duration known from the next one's time. Constant here, as ffmpeg cuts at frames.
    const samples = child(moof, "traf", "trun").readUInt32BE(12);
    segment.parts.push({ bytes: Buffer.concat([...events, moof, mdat]), duration: samples / 30, key });
    this.publish();
  }

  publish() {
    for (const wake of [...this.waiting]) wake();
  }

  has(msn, part) {
    const segment = this.segments[msn - this.firstMsn];
    if (!segment) return false;
    return !segment.open || (part !== undefined && segment.parts.length > part);
  }

  playlist() {
    const shown = this.segments.slice(-WINDOW_SEGMENTS);
    const lines = [
      "#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-TARGETDURATION:2",
      `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${(PART_S * 3).toFixed(1)}`,
      `#EXT-X-PART-INF:PART-TARGET=${PART_S}`, `#EXT-X-MEDIA-SEQUENCE:${shown[0]?.msn ?? 0}`,
    ];
    let init;
    for (const segment of shown) {
      if (segment.discontinuity) lines.push("#EXT-X-DISCONTINUITY");
      if (segment.init !== init) lines.push(`#EXT-X-MAP:URI="init-${segment.init}.mp4"`);
      init = segment.init;
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.pdt).toISOString()}`);
      for (const [index, part] of segment.parts.entries()) {
        lines.push(`#EXT-X-PART:DURATION=${part.duration.toFixed(5)},URI="s${segment.msn}.p${index}.m4s"${part.key ? ",INDEPENDENT=YES" : ""}`);
      }
      const duration = segment.parts.reduce((sum, part) => sum + part.duration, 0);
      if (!segment.open) lines.push(`#EXTINF:${duration.toFixed(5)},live`, `s${segment.msn}.m4s`);
    }
    for (const { id, text, date } of this.cues.slice(-20)) {
      const base64 = Buffer.from(text).toString("base64");
      lines.push(
        `#EXT-X-DATERANGE:ID="${id}",CLASS="metadata.live-video.net",START-DATE="${date.toISOString()}",DURATION=0.0,` +
          `X-HEADWATER-PAYLOAD="${base64}"`,
      );
    }
    if (this.ended) lines.push("#EXT-X-ENDLIST");
    else {
      const last = this.segments.at(-1);
      const next = last?.open ? `s${last.msn}.p${last.parts.length}` : `s${this.firstMsn + this.segments.length}.p0`;
      lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${next}.m4s"`);
    }
    return `${lines.join("\n")}\n`;
  }
}

export class StandIn {
  session;
  over;
  poll = null;
  listeners = new Set();
  frames = 0;
  /** Called with each media file's name; what it returns is done instead of the answer, once. */
  fault = () => undefined;
  #server;
  #sockets = new Set();
  #ffmpeg;
  #port = 0;

  async listen(port = 0) {
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    await new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
  }

  get web() {
    return `http://localhost:${this.#port}`;
  }

  get site() {
    return `http://demo.s3-website.localhost:${this.#port}/`;
  }

  /** Goes away and comes back on the same port with another epoch, as a restarted server does. */
  async restart() {
    this.cut();
    this.session = undefined;
    this.listeners.clear();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.listen(this.#port);
  }

  publish() {
    this.session ??= new Session();
    const { session } = this;
    session.discontinuity();
    const process = spawn("ffmpeg", [
      ...source({ first: this.frames }), "-t", "3600", "-f", "mp4",
      "-movflags", "empty_moov+default_base_moof+frag_keyframe", "-frag_duration", String(PART_S * 1e6), "-flush_packets", "1", "pipe:1",
    ]);
    const started = Date.now();
    let head;
    let moof;
    process.stdout.on("data", boxes((type, box) => {
      if (type === "ftyp") head = box;
      else if (type === "moov") {
        session.timescale = child(box, "trak", "mdia", "mdhd").readUInt32BE(20);
        session.init(Buffer.concat([head, box]));
      } else if (type === "moof") moof = box;
      else if (type === "mdat") session.part(moof, box);
    }));
    process.stderr.on("data", (text) => console.error(`ffmpeg: ${text}`));
    process.on("exit", () => (this.frames += Math.round(((Date.now() - started) / 1000 + 1) * 30)));
    this.#ffmpeg = process;
  }

  /** The encoder is gone without a word. */
  cut() {
    this.#ffmpeg?.kill("SIGKILL");
    this.#ffmpeg = undefined;
  }

  end() {
    this.cut();
    const { session } = this;
    if (!session) return;
    session.ended = true;
    const last = session.segments.at(-1);
    if (last) last.open = false;
    session.publish();
    this.over = session;
    this.session = undefined;
    this.#setPoll(null);
  }

  putMetadata(text) {
    const id = `cue-${randomBytes(4).toString("hex")}`;
    this.session.pending.push({ id, text });
    const asked = JSON.parse(text);
    if (!asked.question) return;
    this.#setPoll({
      id: `st-${this.session.epoch.slice(0, 8)}:${asked.poll_id}`, poll_id: String(asked.poll_id), question: asked.question,
      answers: asked.answers, tally: asked.answers.map(() => 0), total: 0, opened_at: new Date().toISOString(), cue_id: id, closed: false,
    });
    this.voters = new Map();
  }

  async close() {
    this.cut();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #setPoll(poll) {
    this.poll = poll;
    this.#tell("poll", { poll });
  }

  #tell(event, data) {
    for (const listener of this.listeners) listener.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.web);
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "content-type");
    if (request.method === "OPTIONS") return void response.writeHead(204).end();
    const json = (status, value) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (request.headers.host?.includes(".s3-website.")) return this.#page(url.pathname, response, json);
    if (url.pathname === "/player/v1/headwater-player.js") return this.#file("player/v1/headwater-player.js", response);
    if (url.pathname.startsWith("/api/video/v1/")) {
      if (!this.session?.segments.length || !url.pathname.endsWith(".channel.demo.m3u8")) return json(404, [{ error_code: "not_broadcasting", type: "error" }]);
      response.writeHead(200, { "content-type": "application/vnd.apple.mpegurl", "cache-control": "no-cache" });
      return void response.end(
        `#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH=1800000,RESOLUTION=960x540,` +
          `CODECS="avc1.42C01F,mp4a.40.2",FRAME-RATE=30.000\n/media/${this.session.epoch}/source/media.m3u8\n`,
      );
    }
    const media = /^\/media\/([^/]+)\/source\/(.+)$/.exec(url.pathname);
    if (media) return this.#media(media[1], media[2], url, response);
    if (url.pathname === "/interact/v1/channels/demo/events") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
      this.listeners.add(response);
      response.on("close", () => this.listeners.delete(response));
      return void response.write(`event: poll\ndata: ${JSON.stringify({ poll: this.poll })}\n\n`);
    }
    if (url.pathname === "/interact/v1/channels/demo/poll") return json(200, { poll: this.poll });
    const answered = /^\/interact\/v1\/polls\/([^/]+)\/answers$/.exec(url.pathname);
    if (answered && request.method === "POST") {
      const { viewer, choice } = JSON.parse(await text(request));
      const { poll } = this;
      if (poll?.id !== decodeURIComponent(answered[1])) return json(404, { message: "no such poll" });
      const counted = !this.voters.has(viewer);
      if (counted) {
        this.voters.set(viewer, choice);
        poll.tally[choice] += 1;
        poll.total += 1;
        this.#tell("tally", { id: poll.id, tally: poll.tally, total: poll.total });
      }
      return json(200, { choice: this.voters.get(viewer), counted, tally: poll.tally, total: poll.total });
    }
    response.writeHead(404).end();
  }

  async #media(epoch, name, url, response) {
    const session = [this.session, this.over].find((one) => one?.epoch === epoch);
    if (!session) return void response.writeHead(404).end();
    const fault = this.fault(name);
    if (fault === "gone") return void response.writeHead(404).end();
    if (fault === "failing") return void response.writeHead(500).end();
    if (fault === "cut") return void response.destroy();
    if (fault === "silent") return;
    if (fault === "garbage") return void response.writeHead(200, { "content-type": "video/mp4" }).end(randomBytes(20_000));
    const bytes = (found, type) =>
      found
        ? response.writeHead(200, { "content-type": type, "cache-control": "max-age=86400, immutable" }).end(found)
        : response.writeHead(404).end();
    if (name === "media.m3u8") {
      const [msn, part] = ["_HLS_msn", "_HLS_part"].map((key) => (url.searchParams.has(key) ? Number(url.searchParams.get(key)) : undefined));
      if (msn !== undefined) {
        const answered = await waitFor(session, () => session.ended || session.has(msn, part) || session.has(msn + 1, 0), 6000);
        if (!answered) return void response.writeHead(503).end();
      }
      response.writeHead(200, { "content-type": "application/vnd.apple.mpegurl", "cache-control": "no-cache" });
      return void response.end(session.playlist());
    }
    const init = /^init-(\d+)\.mp4$/.exec(name);
    if (init) return void bytes(session.inits[Number(init[1])], "video/mp4");
    const piece = /^s(\d+)(?:\.p(\d+))?\.m4s$/.exec(name);
    const segment = piece && session.segments[Number(piece[1]) - session.firstMsn];
    const found = segment && (piece[2] === undefined ? Buffer.concat(segment.parts.map((part) => part.bytes)) : segment.parts[Number(piece[2])]?.bytes);
    // Everywhere, boxes' headers among it.
    bytes(fault === "damaged" ? found?.map((byte, at) => (at % 50 === 7 ? byte ^ 0x5a : byte)) : found, "video/mp4");
  }

  #page(pathname, response, json) {
    if (pathname === "/config.json") {
      return json(200, {
        title: "Headwater demo", channelId: "demo", playbackUrl: `${this.web}/api/video/v1/us-east-1.000000000000.channel.demo.m3u8`,
        playerScript: `${this.web}/player/v1/headwater-player.js`, interactUrl: `${this.web}/interact/v1`,
      });
    }
    response.setHeader(
      "content-security-policy",
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self' blob: ${this.web}; ` +
        `connect-src 'self' ${this.web}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`,
    );
    this.#file(`site/${pathname === "/" ? "index.html" : pathname.slice(1)}`, response);
  }

  #file(name, response) {
    const file = path.join(DIST, name);
    if (!file.startsWith(DIST) || !fs.existsSync(file)) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[file.split(".").pop()] ?? "application/octet-stream" });
    response.end(fs.readFileSync(file));
  }
}

function waitFor(session, holds, limitMs) {
  if (holds()) return Promise.resolve(true);
  return new Promise((resolve) => {
    const finish = (held) => {
      clearTimeout(timer);
      session.waiting.delete(wake);
      resolve(held);
    };
    const wake = () => holds() && finish(true);
    const timer = setTimeout(() => finish(false), limitMs);
    session.waiting.add(wake);
  });
}

async function text(request) {
  let all = "";
  for await (const chunk of request) all += chunk;
  return all;
}

// Run alone, it publishes and asks a question now and then, for working on the page by hand.
if (process.argv[1] === new URL(import.meta.url).pathname) {
  const server = new StandIn();
  await server.listen(Number(process.env.PORT ?? 8088));
  console.log(server.site);
  server.publish();
  let asked = 0;
  setInterval(() => {
    asked += 1;
    server.putMetadata(JSON.stringify({ question: "Which way next?", answers: ["Up the river", "To the sea"], poll_id: asked }));
  }, 30_000);
}
