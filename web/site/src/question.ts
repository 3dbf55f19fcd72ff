// Words of the interaction: what a cue asks, what the server says about it. Everything from outside is checked here.

/** A question as a cue carries it. */
export interface Question {
  readonly pollId: string;
  readonly question: string;
  readonly answers: readonly string[];
}

/** A question as the server keeps it. */
export interface Poll extends Question {
  readonly id: string;
  readonly tally: readonly number[];
  readonly total: number;
  /** UTC, ms. */
  readonly openedAt: number;
  readonly closed: boolean;
}

export interface Tally {
  readonly id: string;
  readonly tally: readonly number[];
  readonly total: number;
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function texts(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length < 2) return undefined;
  return value.every((item) => typeof item === "string" || typeof item === "number") ? value.map(String) : undefined;
}

function counts(value: unknown): number[] | undefined {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0) ? value : undefined;
}

function question(found: Fields): Question | undefined {
  const { question: text, answers, poll_id: pollId } = found;
  const choices = texts(answers);
  if (typeof text !== "string" || !choices || (typeof pollId !== "string" && typeof pollId !== "number")) return undefined;
  return { pollId: String(pollId), question: text, answers: choices };
}

/** A cue's text, if it asks something. */
export function parseCue(text: string): Question | undefined {
  try {
    const found = fields(JSON.parse(text));
    return found && question(found);
  } catch {
    return undefined;
  }
}

/** `{"poll": …}` of the server. `null`: nothing is asked now. Undefined: not understood. */
export function parsePoll(value: unknown): Poll | null | undefined {
  const found = fields(value);
  if (!found || !("poll" in found)) return undefined;
  if (found["poll"] === null) return null;
  const poll = fields(found["poll"]);
  const asked = poll && question(poll);
  const tally = counts(poll?.["tally"]);
  const openedAt = Date.parse(String(poll?.["opened_at"]));
  if (!poll || !asked || !tally || typeof poll["id"] !== "string") return undefined;
  return {
    ...asked,
    id: poll["id"],
    tally: asked.answers.map((_, index) => tally[index] ?? 0),
    total: typeof poll["total"] === "number" ? poll["total"] : tally.reduce((sum, count) => sum + count, 0),
    openedAt: Number.isNaN(openedAt) ? 0 : openedAt,
    closed: poll["closed"] === true,
  };
}

/** A `tally` event, or the tally in the reply to an answer. */
export function parseTally(value: unknown): Tally | undefined {
  const found = fields(value);
  const tally = counts(found?.["tally"]);
  if (!found || !tally) return undefined;
  const total = found["total"];
  return {
    id: typeof found["id"] === "string" ? found["id"] : "",
    tally,
    total: typeof total === "number" ? total : tally.reduce((sum, count) => sum + count, 0),
  };
}
