// Which question is shown, when, and what became of the viewer's answer. No document, no network: both are handed in.
//
// The server tells of a question at once; the picture that belongs to it comes a moment later. So a question is shown when its
// cue is reached at the playhead; a viewer who joined after it is shown it because the playhead's clock is past its opening.

import type { Memory } from "./memory";
import type { Poll, Question, Tally } from "./question";
import type { AnswerToSend, Delivery } from "./wire";

export type Standing = "open" | "sending" | "stored" | "closed" | "refused";

export interface Shown {
  readonly question: string;
  readonly answers: readonly string[];
  readonly tally: readonly number[];
  readonly total: number;
  readonly standing: Standing;
  /** The viewer's answer. */
  readonly choice: number | undefined;
  /** The server knows the question, so that it can be answered. */
  readonly answerable: boolean;
  /** Media time of the cue that brought it, seconds; undefined for who joined after it. */
  readonly mediaTime: number | undefined;
}

export interface AskingParts {
  readonly memory: Memory;
  readonly deliver: (answer: AnswerToSend) => Promise<Delivery>;
  /** UTC, ms, of the picture at the playhead; 0 if unknown. */
  readonly playheadMs: () => number;
  readonly show: (shown: Shown | undefined) => void;
  readonly later: (run: () => void, delayMs: number) => void;
}

/** A cue that did not come with the picture is given this long past the opening before the question is shown without it. */
const CUE_GRACE_MS = 1000;
/** A closed question stays with its result. */
const CLOSED_SHOWN_MS = 12_000;

export class Asking {
  readonly #parts: AskingParts;
  /** What the server says is asked now, shown or not yet. */
  #asked: Poll | undefined;
  /** The question that the playhead has reached. */
  #reached: Question | undefined;
  /** The server's word on the reached question. */
  #known: Poll | undefined;
  #standing: Standing = "open";
  #choice: number | undefined;
  #mediaTime: number | undefined;
  readonly #sending = new Set<string>();
  /** Counts the questions shown, so that a late hiding does not hide the next one. */
  #turn = 0;

  constructor(parts: AskingParts) {
    this.#parts = parts;
  }

  /** A cue with a question was reached at the playhead. */
  cue(question: Question, mediaTime: number): void {
    if (this.#reached?.pollId !== question.pollId || this.#standing === "closed") this.#reach(question, mediaTime);
  }

  /** The server said what is asked now. */
  heard(poll: Poll | null): void {
    this.#asked = poll?.closed ? undefined : (poll ?? undefined);
    const known = this.#known;
    if (known && poll?.id === known.id) {
      this.#known = poll;
      if (poll.closed) this.#close();
      else this.#show();
    } else if (known) {
      // Another one took its place, or nothing is asked any more.
      this.#close();
    } else if (this.#asked && this.#asked.pollId === this.#reached?.pollId) {
      this.#adopt(this.#asked);
      this.#show();
    }
    this.check();
  }

  tally({ id, tally, total }: Tally): void {
    for (const which of ["asked", "known"] as const) {
      const poll = which === "asked" ? this.#asked : this.#known;
      // Totals only grow; an older figure may arrive after a newer one, by the other way.
      if (!poll || (id !== "" && id !== poll.id) || total < poll.total) continue;
      const next = { ...poll, tally: poll.answers.map((_, index) => tally[index] ?? 0), total };
      if (which === "asked") this.#asked = next;
      else this.#known = next;
    }
    this.#show();
  }

  /** Called now and then: shows a question whose cue this viewer did not get. */
  check(): void {
    const asked = this.#asked;
    const playhead = this.#parts.playheadMs();
    if (!asked || this.#known?.id === asked.id || playhead === 0) return;
    if (playhead >= asked.openedAt + CUE_GRACE_MS) this.#reach(asked);
  }

  /** The viewer chose. */
  answer(choice: number): void {
    const poll = this.#known;
    if (!poll || this.#standing !== "open" || choice < 0 || choice >= poll.answers.length) return;
    this.#parts.memory.remember(poll.id, { choice, stored: false });
    this.#choice = choice;
    this.#send(poll.id, choice);
  }

  #reach(question: Question, mediaTime?: number): void {
    this.#turn += 1;
    this.#mediaTime = mediaTime;
    this.#reached = question;
    this.#known = undefined;
    this.#standing = "open";
    this.#choice = undefined;
    if (this.#asked?.pollId === question.pollId) this.#adopt(this.#asked);
    this.#show();
  }

  /** Takes up what this browser remembers: an answer that was not acknowledged before a reload is sent again. */
  #adopt(poll: Poll): void {
    this.#known = poll;
    const remembered = this.#parts.memory.answer(poll.id);
    if (!remembered) return;
    this.#choice = remembered.choice;
    if (remembered.stored) this.#standing = "stored";
    else this.#send(poll.id, remembered.choice);
  }

  #send(poll: string, choice: number): void {
    this.#standing = "sending";
    this.#show();
    if (this.#sending.has(poll)) return;
    this.#sending.add(poll);
    const { memory, deliver, playheadMs } = this.#parts;
    void deliver({ poll, viewer: memory.viewer(), choice, playheadMs: playheadMs() }).then((delivery) => {
      this.#sending.delete(poll);
      if (delivery.kind === "stored") memory.remember(poll, { choice: delivery.choice, stored: true });
      else memory.forget(poll);
      if (this.#known?.id !== poll) return;
      this.#choice = delivery.kind === "stored" ? delivery.choice : undefined;
      if (delivery.kind === "closed") return this.#close();
      if (this.#standing === "sending") this.#standing = delivery.kind;
      if (delivery.kind === "stored") this.tally(delivery.tally);
      this.#show();
    });
  }

  #close(): void {
    if (this.#standing === "closed") return;
    this.#standing = "closed";
    this.#show();
    const turn = this.#turn;
    this.#parts.later(() => {
      if (turn !== this.#turn) return;
      this.#reached = this.#known = undefined;
      this.#show();
    }, CLOSED_SHOWN_MS);
  }

  #show(): void {
    const reached = this.#reached;
    if (!reached) return this.#parts.show(undefined);
    const poll = this.#known;
    const { question, answers } = poll ?? reached;
    this.#parts.show({
      question,
      answers,
      tally: poll?.tally ?? answers.map(() => 0),
      total: poll?.total ?? 0,
      standing: this.#standing,
      choice: this.#choice,
      answerable: poll !== undefined,
      mediaTime: this.#mediaTime,
    });
  }
}
