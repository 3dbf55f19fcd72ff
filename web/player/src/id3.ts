// Reads the two containers of a cue: an `emsg` box (ISO/IEC 23009-1, versions 0 and 1) and the PRIV frames of an
// ID3v2.3/2.4 tag. Malformed input yields nothing; it never throws.

export interface PrivateFrame {
  readonly owner: string;
  readonly text: string;
}

export interface EventMessage {
  readonly scheme: string;
  /** Headwater writes the cue's id here, the same as the ID of its EXT-X-DATERANGE. */
  readonly value: string;
  readonly id: number;
  readonly payload: Uint8Array;
}

const FRAME_HEADER_BYTES = 10;
const utf8 = new TextDecoder("utf-8");

function syncsafe(data: Uint8Array, at: number): number {
  return ((data[at]! & 0x7f) << 21) | ((data[at + 1]! & 0x7f) << 14) | ((data[at + 2]! & 0x7f) << 7) | (data[at + 3]! & 0x7f);
}

function uint32(data: Uint8Array, at: number): number {
  return ((data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!) >>> 0;
}

/** The PRIV frames of the tag at the start of `data`, in order. */
export function privateFrames(data: Uint8Array): PrivateFrame[] {
  const found: PrivateFrame[] = [];
  if (data.length < FRAME_HEADER_BYTES || data[0] !== 0x49 || data[1] !== 0x44 || data[2] !== 0x33) return found;
  const version = data[3]!;
  const end = Math.min(data.length, FRAME_HEADER_BYTES + syncsafe(data, 6));
  let at = FRAME_HEADER_BYTES;
  if (data[5]! & 0x40) at += version === 4 ? syncsafe(data, at) : uint32(data, at) + 4;
  while (at + FRAME_HEADER_BYTES <= end) {
    const name = String.fromCharCode(data[at]!, data[at + 1]!, data[at + 2]!, data[at + 3]!);
    if (name === "\0\0\0\0") break;
    const bytes = version === 4 ? syncsafe(data, at + 4) : uint32(data, at + 4);
    const from = at + FRAME_HEADER_BYTES;
    const to = from + bytes;
    if (to > end) break;
    if (name === "PRIV") {
      const zero = data.indexOf(0, from);
      if (zero >= 0 && zero < to) {
        found.push({ owner: utf8.decode(data.subarray(from, zero)), text: utf8.decode(data.subarray(zero + 1, to)) });
      }
    }
    at = to;
  }
  return found;
}

function terminated(data: Uint8Array, at: number): { text: string; next: number } | undefined {
  const zero = data.indexOf(0, at);
  return zero < 0 ? undefined : { text: utf8.decode(data.subarray(at, zero)), next: zero + 1 };
}

function eventMessage(box: Uint8Array): EventMessage | undefined {
  const version = box[8];
  const fixed = version === 1 ? 12 + 4 + 8 + 4 + 4 : 12;
  if (box.length < fixed || (version !== 0 && version !== 1)) return undefined;
  const scheme = terminated(box, fixed);
  const value = scheme && terminated(box, scheme.next);
  if (!value) return undefined;
  if (version === 1) {
    return { scheme: scheme.text, value: value.text, id: uint32(box, 28), payload: box.subarray(value.next) };
  }
  if (box.length < value.next + 16) return undefined;
  return { scheme: scheme.text, value: value.text, id: uint32(box, value.next + 12), payload: box.subarray(value.next + 16) };
}

/** The `emsg` boxes at the top level of a segment or part, in order. */
export function eventMessages(data: Uint8Array): EventMessage[] {
  const found: EventMessage[] = [];
  let at = 0;
  while (at + 8 <= data.length) {
    let size = uint32(data, at);
    if (size === 1 && at + 16 <= data.length) size = uint32(data, at + 8) * 2 ** 32 + uint32(data, at + 12);
    if (size === 0) size = data.length - at;
    if (size < 8 || at + size > data.length) break;
    if (data[at + 4] === 0x65 && data[at + 5] === 0x6d && data[at + 6] === 0x73 && data[at + 7] === 0x67) {
      const message = eventMessage(data.subarray(at, at + size));
      if (message) found.push(message);
    }
    at += size;
  }
  return found;
}
