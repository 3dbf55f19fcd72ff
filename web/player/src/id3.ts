// Reads a cue out of its ID3v2.3 or 2.4 tag: PRIV frames with an owner and a payload, and beside them a TXXX frame with the cue's
// id. Malformed input yields nothing; it never throws.

export interface PrivateFrame {
  readonly owner: string;
  readonly text: string;
}

export interface Tag {
  readonly frames: readonly PrivateFrame[];
  /** The cue's id, the same as the ID of its EXT-X-DATERANGE. */
  readonly id: string | undefined;
}

const CUE_ID_DESCRIPTION = "headwater.cue-id";
/** ID3v2.4 "ID3v2 frame overview": text encodings without a byte order. */
const LATIN_1 = 0;
const UTF_8 = 3;

const FRAME_HEADER_BYTES = 10;
const utf8 = new TextDecoder("utf-8");

function syncsafe(data: Uint8Array, at: number): number {
  return ((data[at]! & 0x7f) << 21) | ((data[at + 1]! & 0x7f) << 14) | ((data[at + 2]! & 0x7f) << 7) | (data[at + 3]! & 0x7f);
}

function uint32(data: Uint8Array, at: number): number {
  return ((data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!) >>> 0;
}

/** The tag at the start of `data`. */
export function readTag(data: Uint8Array): Tag {
  const frames: PrivateFrame[] = [];
  let id: string | undefined;
  if (data.length < FRAME_HEADER_BYTES || data[0] !== 0x49 || data[1] !== 0x44 || data[2] !== 0x33) return { frames, id };
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
        frames.push({ owner: utf8.decode(data.subarray(from, zero)), text: utf8.decode(data.subarray(zero + 1, to)) });
      }
    } else if (name === "TXXX" && (data[from] === UTF_8 || data[from] === LATIN_1)) {
      const [description, value] = utf8.decode(data.subarray(from + 1, to)).split("\0");
      if (description === CUE_ID_DESCRIPTION && value) id = value;
    }
    at = to;
  }
  return { frames, id };
}
