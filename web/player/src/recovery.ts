// Decides what to do about trouble: when to ask the server, when to go on, when to load anew, when to give up.
// The one place in the player that retries; the engines report and obey.

import { ErrorType, type PlayerError } from "./api";
import { Backoff } from "./backoff";
import type { Failure } from "./engine";
import type { Probe } from "./probe";

export interface RecoveryActions {
  probe(): Promise<Probe>;
  /** Whether what is played is still listed, though the ladder around it may have changed. */
  goesOn(answer: Probe): boolean;
  /** Go on with the same session. */
  resume(): void;
  recoverMedia(): void;
  /** Load the playback URL anew: another session, or nothing else helped. */
  reload(): void;
  /** The server answers, and nothing is being broadcast. */
  offline(): void;
  /** The broadcast that was playing is over. */
  over(): void;
  /** The server cannot be reached; attempts go on. */
  unreachable(): void;
  fail(error: PlayerError): void;
}

export interface Timers {
  now(): number;
  set(run: () => void, delayMs: number): number;
  clear(timer: number): void;
}

/** Without `watch`, a broadcast that cannot be brought back for this long is given up, with an error. */
const GIVE_UP_MS = 60_000;
/** A stall is looked into after this long: two parts' time in `NORMAL`, so a slow segment is not yet suspicious. */
const STALL_LOOK_MS = 3000;
/** Looks at a stall during which the player was stuck before it is loaded anew. */
const STUCK_LOOKS_MAX = 3;
/** Decoder rebuilds within `MEDIA_WINDOW_MS` before the whole player is loaded anew, and failures before giving up. */
const MEDIA_RECOVERIES_MAX = 2;
const MEDIA_FAILURES_MAX = 6;
const MEDIA_WINDOW_MS = 60_000;
/** Resumptions on the same session, each failing soon, before it is loaded anew. */
const RESUMES_MAX = 3;
/** A resumption that lasted this long worked: a playlist that is held back while the encoder is away fails later. */
const RESUME_LASTED_MS = 3000;

type Waiting = "nothing" | "network" | "broadcast" | "stall";

export class Recovery {
  readonly #watch: boolean;
  readonly #actions: RecoveryActions;
  readonly #timers: Timers;
  /** Back to a broadcast that is there: fast. */
  readonly #network: Backoff;
  /** For a broadcast to begin: every viewer of an offline channel asks, so slower. */
  readonly #broadcast: Backoff;
  #timer: number | undefined;
  #waiting: Waiting = "nothing";
  /** Raised when a question to the server is out of date; its answer is then ignored. */
  #turn = 0;
  #session = "";
  #played = false;
  #lostAt: number | undefined;
  #resumes = 0;
  #resumedAt = Number.NEGATIVE_INFINITY;
  #stuckLooks = 0;
  #mediaFailures: number[] = [];
  #last: Failure | undefined;

  constructor(watch: boolean, actions: RecoveryActions, timers: Timers, random: () => number = Math.random) {
    this.#watch = watch;
    this.#actions = actions;
    this.#timers = timers;
    this.#network = new Backoff(500, 8000, random);
    this.#broadcast = new Backoff(2000, 5000, random);
  }

  /** A person asked for a URL: everything before is forgotten. */
  begin(): void {
    this.stop();
    this.#session = "";
    this.#played = false;
    this.#resumes = 0;
    this.#mediaFailures = [];
    this.#lostAt = undefined;
    this.#network.reset();
    this.#broadcast.reset();
  }

  ready(session: string): void {
    this.#session = session;
    if (this.#waiting !== "stall") this.#rest();
  }

  /** Pictures move. */
  progressed(): void {
    this.#played = true;
    this.#lostAt = undefined;
    this.#resumes = 0;
    this.#stuckLooks = 0;
    this.#network.reset();
    this.#broadcast.reset();
    if (this.#waiting === "stall") this.#rest();
  }

  /** Pictures should move and do not. `stuck` says at each look whether waiting will not help. */
  stalled(stuck: () => boolean): void {
    if (this.#waiting !== "nothing") return;
    this.#lostAt ??= this.#timers.now();
    this.#stuckLooks = 0;
    this.#lookAtStall(stuck);
  }

  /** Nobody waits for pictures any more (pause). */
  relaxed(): void {
    if (this.#waiting === "stall") this.#rest();
  }

  ended(): void {
    this.stop();
    this.#actions.over();
    if (this.#watch) this.#awaitBroadcast();
  }

  failed(failure: Failure): void {
    this.#last = failure;
    if (failure.kind === "unsupported") return this.#giveUp(ErrorType.NOT_SUPPORTED);
    if (failure.kind === "media") return this.#mediaFailed();
    this.#lostAt ??= this.#timers.now();
    if (this.#waiting === "network" || this.#waiting === "broadcast") return;
    // A master's status is the answer to the question that a probe would ask.
    if (failure.source === "MasterPlaylist" && failure.status !== 0) {
      return this.#answered({ status: failure.status, session: "", addresses: [] });
    }
    if (failure.status === 0) this.#actions.unreachable();
    if (this.#timers.now() - this.#resumedAt > RESUME_LASTED_MS) {
      this.#resumes = 0;
      this.#network.reset();
    }
    this.#askSoon();
  }

  stop(): void {
    this.#rest();
  }

  #rest(): void {
    this.#turn += 1;
    this.#waiting = "nothing";
    if (this.#timer !== undefined) this.#timers.clear(this.#timer);
    this.#timer = undefined;
  }

  #after(waiting: Waiting, delayMs: number, run: () => void): void {
    this.#rest();
    this.#waiting = waiting;
    this.#timer = this.#timers.set(() => {
      this.#timer = undefined;
      run();
    }, delayMs);
  }

  #ask(then: (answer: Probe) => void): void {
    const turn = this.#turn;
    void this.#actions.probe().then((answer) => {
      if (turn === this.#turn) then(answer);
    });
  }

  #askSoon(): void {
    this.#after("network", this.#network.nextMs(), () => this.#ask((answer) => this.#answered(answer)));
  }

  #awaitBroadcast(): void {
    this.#after("broadcast", this.#broadcast.nextMs(), () =>
      this.#ask((answer) => {
        // The finished broadcast may still be listed for a while.
        if (answer.status === 200 && answer.session === this.#session) this.#awaitBroadcast();
        else if (answer.status === 200) this.#renew();
        else if (answer.status === 401 || answer.status === 403) this.#answered(answer);
        else this.#awaitBroadcast();
      }),
    );
  }

  #lookAtStall(stuck: () => boolean): void {
    this.#after("stall", STALL_LOOK_MS, () =>
      this.#ask((answer) => {
        if (answer.status !== 200) {
          if (answer.status === 0) this.#actions.unreachable();
          return this.#answered(answer);
        }
        if (this.#session !== "" && !this.#isSame(answer)) return this.#renew();
        // Listed, and the encoder is away: its pictures come back on this session.
        this.#stuckLooks = stuck() ? this.#stuckLooks + 1 : 0;
        if (this.#stuckLooks >= STUCK_LOOKS_MAX) return this.#renew();
        this.#lookAtStall(stuck);
      }),
    );
  }

  #answered(answer: Probe): void {
    const { status } = answer;
    if (status === 200) {
      if (this.#session === "" || !this.#isSame(answer) || this.#resumes >= RESUMES_MAX) return this.#renew();
      this.#resumes += 1;
      this.#resumedAt = this.#timers.now();
      this.#rest();
      return this.#actions.resume();
    }
    if (status === 401 || status === 403) return this.#giveUp(ErrorType.AUTHORIZATION, status);
    if (status === 404 || status === 410) {
      // What was playing has ended, though its last playlist was missed.
      if (this.#played) return this.ended();
      if (!this.#watch) return this.#giveUp(ErrorType.NOT_AVAILABLE, status);
      this.#actions.offline();
      this.#session = "";
      return this.#awaitBroadcast();
    }
    if (!this.#watch && status === 429) return this.#giveUp(ErrorType.NOT_AVAILABLE, status);
    if (!this.#watch && this.#lostAt !== undefined && this.#timers.now() - this.#lostAt > GIVE_UP_MS) {
      return this.#giveUp(status === 0 ? ErrorType.NETWORK_IO : ErrorType.NETWORK, status);
    }
    this.#askSoon();
  }

  #isSame(answer: Probe): boolean {
    return answer.session === this.#session || this.#actions.goesOn(answer);
  }

  #renew(): void {
    this.#rest();
    this.#resumes = 0;
    this.#stuckLooks = 0;
    this.#played = false;
    this.#actions.reload();
  }

  #mediaFailed(): void {
    const now = this.#timers.now();
    this.#mediaFailures = [...this.#mediaFailures.filter((at) => now - at < MEDIA_WINDOW_MS), now];
    const failures = this.#mediaFailures.length;
    if (failures <= MEDIA_RECOVERIES_MAX) return this.#actions.recoverMedia();
    if (failures > MEDIA_FAILURES_MAX && !this.#watch) return this.#giveUp(ErrorType.INVALID_DATA);
    this.#after("network", this.#network.nextMs(), () => this.#renew());
  }

  #giveUp(type: ErrorType, code = 0): void {
    this.#rest();
    const source = this.#last?.source ?? "MasterPlaylist";
    this.#actions.fail({ source, type, code, message: this.#last?.message ?? `the server answered ${code}` });
  }
}
