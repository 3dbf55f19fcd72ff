// Other viewers of a stream, as a process of their own: node load.mjs MEDIA_PLAYLIST_URL BLOCKED
//
// BLOCKED connections each keep one blocking playlist reload for the next part open, one reader takes a kilobyte a second of what it asks
// for, and one asks for segments and never reads. Writes "ready" when all of them wait, and at SIGTERM one line of JSON with what they did.

import net from "node:net";

/** Connections are opened so many at a time, less than a listener's backlog. */
const RAMP = 50;
const RAMP_EVERY_MS = 20;
const SLOW_BYTES_A_SECOND = 1024;
/** The slow and the stalled one ask so often, until the server takes no more of it. */
const ASK_EVERY_MS = 250;
const HINT = Buffer.from("PRELOAD-HINT:TYPE=PART,URI=\"s");
const HEAD_END = Buffer.from("\r\n\r\n");

const [address, blocked] = [new URL(process.argv[2]), Number(process.argv[3])];
const folder = address.pathname.slice(0, address.pathname.lastIndexOf("/") + 1);
const counts = { answers: 0, refused: 0, broken: 0, bytes: 0, slow_bytes: 0 };
let next = await newest();

function request(path) {
  return `GET ${path} HTTP/1.1\r\nHost: ${address.host}\r\n\r\n`;
}

function reload() {
  return request(`${address.pathname}${address.search ? `${address.search}&` : "?"}_HLS_msn=${next.msn}&_HLS_part=${next.part}`);
}

/** Which part comes next, by the playlist's hint. */
async function newest() {
  const text = await (await fetch(address)).text();
  const [, msn, part] = /PRELOAD-HINT:TYPE=PART,URI="s(\d+)\.p(\d+)\./.exec(text) ?? [];
  if (msn === undefined) throw new Error("the playlist hints at no part");
  return { msn: Number(msn), part: Number(part) };
}

function connect() {
  const socket = net.connect(Number(address.port || 80), "127.0.0.1");
  socket.setNoDelay(true);
  socket.on("error", () => (counts.broken += 1));
  return socket;
}

/** Asks for the next part's playlist, and again with each answer. */
function wait() {
  const socket = connect();
  let head = Buffer.alloc(0);
  let left = 0;
  socket.on("connect", () => socket.write(reload()));
  socket.on("data", (bytes) => {
    counts.bytes += bytes.length;
    if (left === 0) {
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf(HEAD_END);
      if (end < 0) return;
      const text = head.toString("latin1", 0, end);
      if (!/^HTTP\/1\.1 200/.test(text)) counts.refused += 1;
      left = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0) - (head.length - end - HEAD_END.length);
      bytes = head;
      head = Buffer.alloc(0);
    } else {
      left -= bytes.length;
    }
    if (left > 0) return;
    left = 0;
    counts.answers += 1;
    ahead(bytes);
    socket.write(reload());
  });
}

/** The answer's end holds the hint; an older one changes nothing. */
function ahead(bytes) {
  const at = bytes.lastIndexOf(HINT);
  if (at < 0) return;
  const [, msn, part] = /^(\d+)\.p(\d+)/.exec(bytes.toString("latin1", at + HINT.length, at + HINT.length + 24)) ?? [];
  if (msn === undefined) return;
  const found = { msn: Number(msn), part: Number(part) };
  if (found.msn > next.msn || (found.msn === next.msn && found.part > next.part)) next = found;
}

/** Asks for the newest closed segment again and again. */
function asking(socket) {
  return setInterval(() => {
    if (socket.writable && !socket.writableNeedDrain) socket.write(request(`${folder}s${Math.max(0, next.msn - 1)}.m4s`));
  }, ASK_EVERY_MS);
}

const slow = connect();
const stalled = connect();
asking(slow);
asking(stalled);
stalled.pause();
// Read by hand: what is not asked for stays with the kernel and then with the server.
slow.on("readable", () => {});
setInterval(() => (counts.slow_bytes += slow.read(Math.min(SLOW_BYTES_A_SECOND, slow.readableLength))?.length ?? 0), 1000);

for (let opened = 0; opened < blocked; opened += RAMP) {
  for (let i = opened; i < Math.min(blocked, opened + RAMP); i += 1) wait();
  await new Promise((resolve) => setTimeout(resolve, RAMP_EVERY_MS));
}
console.log("ready");
const began = process.cpuUsage();
const beganAt = performance.now();
process.on("SIGTERM", () => {
  const { user, system } = process.cpuUsage(began);
  console.log(JSON.stringify({ blocked, ...counts, cpu_share: (user + system) / 1000 / (performance.now() - beganAt) }));
  process.exit(0);
});
