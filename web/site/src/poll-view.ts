// Draws the question above the video. Text from outside is only ever text.

import type { Shown } from "./asking";
import { byId, say } from "./page";
import { answersCounted } from "./words";

const NOTES: Record<Shown["standing"], string> = {
  open: "",
  sending: "Sending your answer…",
  stored: "Your answer counts",
  closed: "This question is closed",
  refused: "The answer was not accepted",
};

export class PollView {
  readonly #section = byId("poll", HTMLElement);
  readonly #question = byId("poll-question", HTMLHeadingElement);
  readonly #answers = byId("poll-answers", HTMLDivElement);
  readonly #note = byId("poll-note", HTMLParagraphElement);
  readonly #announce: (text: string) => void;
  readonly #choose: (choice: number) => void;
  #drawn = "";
  #noted = "";

  constructor(choose: (choice: number) => void, announce: (text: string) => void) {
    this.#choose = choose;
    this.#announce = announce;
  }

  show(shown: Shown | undefined): void {
    if (shown?.mediaTime !== undefined) this.#section.dataset["mediaTime"] = String(shown.mediaTime);
    else delete this.#section.dataset["mediaTime"];
    this.#section.hidden = shown === undefined;
    if (!shown) {
      this.#drawn = "";
      return;
    }
    const key = JSON.stringify([shown.question, shown.answers]);
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#noted = "";
      this.#draw(shown);
      this.#announce(`Question: ${shown.question} Answers: ${shown.answers.join(", ")}.`);
    }
    this.#section.dataset["standing"] = shown.standing;
    const best = Math.max(1, ...shown.tally);
    for (const [index, button] of [...this.#answers.children].entries()) {
      if (!(button instanceof HTMLButtonElement)) continue;
      const count = shown.tally[index] ?? 0;
      const share = shown.total > 0 ? count / shown.total : 0;
      const chosen = shown.choice === index;
      // Not `disabled`, which would take the focus away from who just pressed it.
      button.setAttribute("aria-disabled", String(shown.standing !== "open" || !shown.answerable));
      button.setAttribute("aria-pressed", String(chosen));
      button.dataset["leads"] = String(count > 0 && count === best);
      button.style.setProperty("--share", String(share));
      say(button.querySelector(".share")!, shown.total > 0 ? `${Math.round(share * 100)} %` : "");
    }
    const note = [NOTES[shown.standing], shown.total > 0 ? answersCounted(shown.total) : ""].filter(Boolean).join(" · ");
    say(this.#note, note);
    if (NOTES[shown.standing] !== this.#noted && NOTES[shown.standing] !== "") this.#announce(NOTES[shown.standing]);
    this.#noted = NOTES[shown.standing];
  }

  #draw(shown: Shown): void {
    say(this.#question, shown.question);
    this.#answers.replaceChildren(
      ...shown.answers.map((answer, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "answer";
        const bar = document.createElement("span");
        bar.className = "bar";
        bar.setAttribute("aria-hidden", "true");
        const text = document.createElement("span");
        text.className = "text";
        text.textContent = answer;
        const share = document.createElement("span");
        share.className = "share";
        button.append(bar, text, share);
        button.addEventListener("click", () => {
          if (button.getAttribute("aria-disabled") !== "true") this.#choose(index);
        });
        return button;
      }),
    );
  }
}
