// Pauses between attempts: doubling, capped, and jittered so that a thousand viewers do not come back in the same instant.

export class Backoff {
  #attempts = 0;
  readonly #firstMs: number;
  readonly #capMs: number;
  readonly #random: () => number;

  constructor(firstMs: number, capMs: number, random: () => number = Math.random) {
    this.#firstMs = firstMs;
    this.#capMs = capMs;
    this.#random = random;
  }

  /** Between half and the whole of the step. */
  nextMs(): number {
    const step = Math.min(this.#capMs, this.#firstMs * 2 ** Math.min(this.#attempts, 20));
    this.#attempts += 1;
    return step / 2 + (step / 2) * this.#random();
  }

  reset(): void {
    this.#attempts = 0;
  }
}
