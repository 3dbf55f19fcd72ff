// Listeners of one player. Nothing inside the player talks over it: it only carries news out.

import type { EventPayloads } from "./api";

export type Listener<K extends keyof EventPayloads> = (payload: EventPayloads[K]) => void;

export class Listeners {
  readonly #lists = new Map<string, Set<(payload: never) => void>>();

  add<K extends keyof EventPayloads>(name: K, listener: Listener<K>): void {
    const list = this.#lists.get(name) ?? new Set();
    list.add(listener as (payload: never) => void);
    this.#lists.set(name, list);
  }

  remove<K extends keyof EventPayloads>(name: K, listener: Listener<K>): void {
    this.#lists.get(name)?.delete(listener as (payload: never) => void);
  }

  /** One listener's exception is reported and does not keep the news from the others. */
  emit<K extends keyof EventPayloads>(name: K, payload: EventPayloads[K]): void {
    for (const listener of [...(this.#lists.get(name) ?? [])]) {
      try {
        (listener as Listener<K>)(payload);
      } catch (error) {
        reportError(error);
      }
    }
  }

  clear(): void {
    this.#lists.clear();
  }
}
