// Checks that are counted, and refusals that must be exceptions of the SDK.

import { isDeepStrictEqual } from 'node:util';

let passed = 0;
let failed = 0;

const write = (value) => JSON.stringify(value, (_, inner) => (inner instanceof Uint8Array ? `${inner.length} bytes` : inner));

/** One check; a failed one is printed and the run goes on. */
export function check(what, holds, found) {
  if (holds) {
    passed += 1;
  } else {
    failed += 1;
    console.log(`FAILED ${what}${found === undefined ? '' : `: ${write(found)}`}`);
  }
}

/** Whether two values are the same all the way down. */
export function same(what, found, expected) {
  check(`${what} is ${write(expected)}`, isDeepStrictEqual(found, expected), found);
}

/** A call that must be refused: with an exception of this class, status and a message. */
export async function refused(what, call, exception, status) {
  try {
    const answer = await call();
    check(`${what} is refused`, false, answer);
  } catch (error) {
    const named = typeof exception === 'string' ? error.name === exception : error instanceof exception;
    const wanted = typeof exception === 'string' ? exception : exception.name;
    const about = { name: error.name, message: error.message, status: error.$metadata?.httpStatusCode };
    check(`${what} is refused with ${wanted}`, named, about);
    check(`${what} is refused with ${status}`, about.status === status, about);
    check(`${what} says why`, typeof error.message === 'string' && error.message.length > 0 && error.message !== 'UnknownError', about);
    check(`${what} has a request id`, Boolean(error.$metadata?.requestId), error.$metadata);
    return error;
  }
  return undefined;
}

/** The first true value of `condition()`; an error after so many seconds. */
export async function until(what, condition, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Prints the sums; how many failed. */
export function report() {
  console.log(`${passed} passed, ${failed} failed`);
  return failed;
}
