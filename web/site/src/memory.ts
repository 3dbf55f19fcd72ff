// What this browser remembers: who its viewer is, and what was answered. Works without storage, for the page's life.

export interface Remembered {
  readonly choice: number;
  /** The server has acknowledged it. */
  readonly stored: boolean;
}

const VIEWER = "headwater.viewer";
const ANSWER = "headwater.answer.";
/** Answers of old polls that are kept. */
const ANSWERS_MAX = 50;

export class Memory {
  readonly #storage: Storage | undefined;
  readonly #fallback = new Map<string, string>();

  constructor(storage: () => Storage = () => localStorage) {
    try {
      this.#storage = storage();
    } catch {
      // Storage is blocked on this page.
    }
  }

  /** Random, made at the first call. Not `crypto.randomUUID`: it is missing on pages that came without TLS. */
  viewer(): string {
    const known = this.#read(VIEWER);
    if (known && /^[A-Za-z0-9_-]{8,64}$/.test(known)) return known;
    const made = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.#write(VIEWER, made);
    return made;
  }

  answer(poll: string): Remembered | undefined {
    const [choice, stored] = (this.#read(ANSWER + poll) ?? "").split(" ");
    return choice && /^\d+$/.test(choice) ? { choice: Number(choice), stored: stored === "stored" } : undefined;
  }

  remember(poll: string, answer: Remembered): void {
    this.#forgetOld();
    this.#write(ANSWER + poll, `${answer.choice} ${answer.stored ? "stored" : "sending"}`);
  }

  forget(poll: string): void {
    this.#fallback.delete(ANSWER + poll);
    try {
      this.#storage?.removeItem(ANSWER + poll);
    } catch {
      // As above.
    }
  }

  #forgetOld(): void {
    if (!this.#storage) return;
    const keys = Object.keys(this.#storage).filter((key) => key.startsWith(ANSWER));
    for (const key of keys.slice(0, Math.max(0, keys.length - ANSWERS_MAX))) this.#storage.removeItem(key);
  }

  #read(key: string): string | undefined {
    try {
      return this.#fallback.get(key) ?? this.#storage?.getItem(key) ?? undefined;
    } catch {
      return this.#fallback.get(key);
    }
  }

  #write(key: string, value: string): void {
    try {
      if (this.#storage) this.#storage.setItem(key, value);
      else this.#fallback.set(key, value);
    } catch {
      this.#fallback.set(key, value);
    }
  }
}
