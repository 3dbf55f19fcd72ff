// What the automatic choice of quality may take: every limit that was set holds.

import type { Quality } from "./api";

export class QualityLimits {
  readonly #supported: ((quality: Quality) => boolean) | undefined;
  #width = Infinity;
  #height = Infinity;
  #bitrate = Infinity;
  #best = Infinity;

  constructor(supported: ((quality: Quality) => boolean) | undefined) {
    this.#supported = supported;
  }

  size(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
  }

  bitrate(bitsPerSecond: number): void {
    this.#bitrate = bitsPerSecond;
  }

  quality(best: Quality): void {
    this.#best = best.bitrate;
  }

  supports(quality: Quality): boolean {
    return this.#supported?.(quality) ?? true;
  }

  /** Undefined when everything is allowed. */
  allowed(): ((quality: Quality) => boolean) | undefined {
    const [width, height, bitrate] = [this.#width, this.#height, Math.min(this.#bitrate, this.#best)];
    if (!this.#supported && width === Infinity && height === Infinity && bitrate === Infinity) return undefined;
    return (quality) =>
      quality.bitrate <= bitrate && quality.width <= width && quality.height <= height && this.supports(quality);
  }
}
