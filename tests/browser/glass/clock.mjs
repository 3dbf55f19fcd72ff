// The camera's clock as a picture: the wall clock in blocks of black and white, written before the encoder, read from a canvas.
//
// COLUMNS blocks in two rows along the top. The first four are 1 0 1 0, then BITS of the clock in milliseconds (modulo 2^BITS), then an
// eight-bit check; most significant bit first, white is 1. The second row is the first one inverted. A picture that is half painted,
// blurred or mixed from two frames fails the inversion or the check, and counts as unreadable instead of giving a wrong time.

/** 2^28 ms are three days. */
export const BITS = 28;
export const COLUMNS = 4 + BITS + 8;
const WRAP = 2 ** BITS;

/** CRC-8 (polynomial x^8 + x^2 + x + 1) of the clock's bytes. Also run in the page: it uses nothing from outside. */
export function check(clock) {
  let crc = 0;
  for (let shift = 24; shift >= 0; shift -= 8) {
    crc ^= Math.floor(clock / 2 ** shift) & 0xff;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc;
}

/** The blocks of a moment (Unix time, ms), as ones and zeros. */
export function blocks(ms) {
  const clock = ms % WRAP;
  const bits = [1, 0, 1, 0];
  for (let bit = BITS - 1; bit >= 0; bit -= 1) bits.push(Math.floor(clock / 2 ** bit) % 2);
  const sum = check(clock);
  for (let bit = 7; bit >= 0; bit -= 1) bits.push((sum >> bit) & 1);
  return bits;
}

/** Milliseconds from the moment in the picture to `shownMs`; small negative ones are kept, they would show a broken clock. */
export function since(clock, shownMs) {
  const late = (((shownMs - clock) % WRAP) + WRAP) % WRAP;
  return late > WRAP / 2 ? late - WRAP : late;
}

/**
 * Draws the camera's pictures: `width` × `height` grey pixels, COLUMNS blocks wide. Below the clock lies a texture that moves, half of
 * it in a way that no encoder can predict, so that the encoder has work and reaches its bit rate.
 */
export class Picture {
  #width;
  #noise;
  #frame;
  #random = 1;

  constructor(width, height) {
    this.#width = width;
    this.#frame = Buffer.alloc(width * height, 16);
    this.#noise = Buffer.alloc(this.#frame.length * 2);
    for (let i = 0; i < this.#noise.length; i += 1) this.#noise[i] = 64 + (this.#next() % 128);
  }

  /** The same buffer each time. */
  draw(ms, number) {
    const width = this.#width;
    const frame = this.#frame;
    const block = Math.floor(width / COLUMNS);
    const middle = Math.floor(frame.length / 2 / width) * width;
    this.#noise.copy(frame, 0, (number * 3) % middle, ((number * 3) % middle) + middle);
    const jump = this.#next() % middle;
    this.#noise.copy(frame, middle, jump, jump + frame.length - middle);
    for (const [column, bit] of blocks(ms).entries()) {
      for (let line = 0; line < block * 2; line += 1) {
        const at = line * width + column * block;
        frame.fill(bit === (line < block ? 1 : 0) ? 235 : 16, at, at + block);
      }
    }
    return frame;
  }

  #next() {
    this.#random = (Math.imul(this.#random, 1103515245) + 12345) >>> 0;
    return this.#random >>> 8;
  }
}

/** In the page: the clock in the picture that `video` shows, or undefined. `context` is of a canvas of `columns` × 2. */
export function read(video, context, columns, check) {
  const block = video.videoWidth / columns;
  if (block < 2) return undefined;
  // Without smoothing, each pixel of the canvas is the middle of a block.
  context.imageSmoothingEnabled = false;
  context.drawImage(video, 0, 0, block * columns, block * 2, 0, 0, columns, 2);
  const { data } = context.getImageData(0, 0, columns, 2);
  let marker = 0;
  let clock = 0;
  let sum = 0;
  for (let column = 0; column < columns; column += 1) {
    const upper = data[column * 4] > 127;
    if (upper === data[(columns + column) * 4] > 127) return undefined;
    const bit = upper ? 1 : 0;
    if (column < 4) marker = marker * 2 + bit;
    else if (column < columns - 8) clock = clock * 2 + bit;
    else sum = sum * 2 + bit;
  }
  return marker === 0b1010 && sum === check(clock) ? clock : undefined;
}
