// node --test glass/glass.test.mjs: the clock in the picture and the arithmetic of the figures, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BITS, COLUMNS, Picture, blocks, check, read, since } from "./clock.mjs";
import { figures, percentile } from "./figures.mjs";
import { backAt } from "./measure.mjs";

/** A canvas that samples the middle of each block of a grey picture, as the page's does. */
function canvas(picture, width) {
  return {
    drawImage(_, x, y, w, h) {
      const block = w / COLUMNS;
      this.data = new Uint8ClampedArray(COLUMNS * 2 * 4);
      for (let row = 0; row < 2; row += 1) {
        for (let column = 0; column < COLUMNS; column += 1) {
          this.data[(row * COLUMNS + column) * 4] = picture[Math.floor((row + 0.5) * block) * width + Math.floor((column + 0.5) * block)];
        }
      }
      assert.equal(h, block * 2);
    },
    getImageData() {
      return { data: this.data };
    },
  };
}

function readFrom(picture, width) {
  return read({ videoWidth: width }, canvas(picture, width), COLUMNS, check);
}

test("the clock that is drawn is read", () => {
  const width = COLUMNS * 8;
  const picture = new Picture(width, 180);
  for (const ms of [0, 1, 1_763_970_000_123, 2 ** BITS - 1, 2 ** BITS + 5]) {
    assert.equal(readFrom(picture.draw(ms, 7), width), ms % 2 ** BITS);
  }
});

test("a damaged clock is not read as another time", () => {
  const width = COLUMNS * 8;
  const drawn = new Picture(width, 180).draw(1_763_970_000_123, 1);
  const half = Buffer.from(drawn);
  half.fill(16, 0, width * 8);
  assert.equal(readFrom(half, width), undefined, "the first row is missing");
  // One bit is wrong in both rows: only the check can tell.
  for (let column = 4; column < COLUMNS; column += 1) {
    const wrong = Buffer.from(drawn);
    for (let line = 0; line < 16; line += 1) {
      for (let x = column * 8; x < column * 8 + 8; x += 1) wrong[line * width + x] = 251 - wrong[line * width + x];
    }
    assert.equal(readFrom(wrong, width), undefined, `block ${column}`);
  }
});

test("the clock's distance survives its wrap", () => {
  assert.equal(since(2 ** BITS - 10, 2 ** BITS * 7 + 25), 35);
  assert.equal(since(100, 2 ** BITS + 90), -10);
  assert.equal(blocks(5).length, COLUMNS);
});

test("percentiles are values that were measured", () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.deepEqual([percentile(sorted, 0.5), percentile(sorted, 0.95), percentile(sorted, 1)], [50, 95, 100]);
  assert.equal(percentile([], 0.5), undefined);
});

/** Frames at 30 a second from `fromMs`, each `latency(ms)` old when it is shown. */
function frames(fromMs, seconds, latency) {
  return Array.from({ length: seconds * 30 }, (_, i) => {
    const shown = fromMs + (i * 1000) / 30;
    return [shown, (shown - latency(shown)) % 2 ** BITS, i / 30];
  });
}

test("stalls, freezes and rates are counted", () => {
  const before = frames(1000, 2, () => 700);
  const after = frames(4000, 2, () => 1700);
  const events = [
    [900, "waiting", 1], [1000, "playing", 1], [3000, "waiting", 1], [3900, "playing", 1], [4000, "ratechange", 1.1], [4500, "ratechange", 1],
  ];
  const found = figures({ frames: [...before, ...after], events }, { fps: 30 });
  assert.deepEqual(found.stalls, { count: 1, seconds: 0.9 }, "filling before the first picture is no stall");
  assert.equal(found.freezes.count, 1);
  assert.equal(found.freezes.longest_ms, 1033);
  assert.deepEqual([found.rate.changes, found.rate.max], [2, 1.1]);
  assert.ok(Math.abs(found.rate.faster_share - 0.5 / 4.97) < 0.01);
  assert.deepEqual([found.latency_ms.min, found.latency_ms.max], [700, 1700]);
});

test("a latency is back when it stays back", () => {
  const falling = frames(0, 10, (shown) => (shown < 1000 ? 700 : Math.max(700, 2700 - (shown - 1000) / 2)));
  const back = backAt(falling, 0, 900);
  assert.ok(back > 4000 && back < 4700, `${back}`);
  assert.equal(backAt(frames(0, 5, () => 2000), 0, 900), undefined);
});
