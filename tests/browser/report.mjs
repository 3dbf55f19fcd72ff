// Counts and prints assertions.

export class Report {
  passed = 0;
  failed = 0;
  #started = Date.now();

  /** `fact` is shown beside the claim, whatever its outcome. */
  check(claim, holds, fact = "") {
    if (holds) this.passed += 1;
    else this.failed += 1;
    const seconds = ((Date.now() - this.#started) / 1000).toFixed(1).padStart(6);
    console.log(`${seconds} s  ${holds ? "ok    " : "FAILED"} ${claim}${fact === "" ? "" : ` — ${fact}`}`);
  }

  note(text) {
    console.log(`          ${text}`);
  }

  broke(error) {
    this.failed += 1;
    console.log(`FAILED the run broke off: ${error?.stack ?? error}`);
  }

  close() {
    console.log(`\n${this.passed} passed, ${this.failed} failed`);
  }
}
