import type { Clock } from "../core/clock.js";
import { describeValue, isPawlError, readSafely, TaskError } from "../core/errors.js";
import type { Answer } from "../core/fetch-rules.js";
import type { FetchFunction } from "../core/http.js";
import type { HttpRequest } from "../core/http-request.js";
import type { HeaderPair, Redaction } from "../core/redaction.js";
import { readAnswer } from "./read-answer.js";

/** One request that is sent once. */
export interface HttpTry {
  readonly request: HttpRequest;
  /** Sent beside those of the request. */
  readonly headers: readonly HeaderPair[];
  /** How error texts call it, without secrets. */
  readonly what: string;
  readonly fetch: FetchFunction;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly cap: number;
  readonly signal: AbortSignal;
}

/**
 * Sends, and reads the answer, body included.
 * @throws TaskError FETCH_FAILED, TASK_TIMEOUT, FETCH_ADDRESS_REFUSED; PayloadError VALUE_TOO_LARGE
 */
export function sendOnce(sent: HttpTry): Promise<Answer> {
  const { clock, signal, timeoutMs } = sent;
  const controller = new AbortController();
  return new Promise((resolve, reject) => {
    const stop = (error: unknown) => {
      leave();
      // Not left to the fetch function, which may not heed its signal.
      reject(error);
      controller.abort(error);
    };
    const abandon = () => stop(signal.reason);
    const disarm = clock.setTimer(timeoutMs, () => stop(timeoutError(sent)));
    const leave = () => {
      disarm();
      signal.removeEventListener("abort", abandon);
    };
    signal.addEventListener("abort", abandon);
    if (signal.aborted) abandon();
    else exchange(sent, controller.signal).then(resolve, reject).finally(leave);
  });
}

async function exchange(sent: HttpTry, signal: AbortSignal): Promise<Answer> {
  const { request, what, cap } = sent;
  const { method, url } = request;
  const body = request.body as RequestInit["body"];
  try {
    const headers = new Headers([...request.headers, ...sent.headers].map((pair) => [...pair]));
    const init = { method, headers, signal, ...(body === undefined ? undefined : { body }) };
    return await readAnswer(await sent.fetch(url, init), { cap, what, signal });
  } catch (error) {
    if (isPawlError(error, "VALUE_TOO_LARGE")) throw error;
    const { redaction } = request;
    throw isPawlError(error, "FETCH_ADDRESS_REFUSED")
      ? new TaskError(error.code, redaction.text(error.message))
      : noAnswer(redaction, what, error);
  }
}

function timeoutError({ what, timeoutMs }: HttpTry): TaskError {
  return new TaskError(
    "TASK_TIMEOUT",
    `${what} got no whole answer within ${timeoutMs} ms. Raise the timeout, or look at what takes the service so long.`,
  );
}

function noAnswer(redaction: Redaction, what: string, error: unknown): TaskError {
  const cause = withoutSecrets(redaction, error);
  return new TaskError(
    "FETCH_FAILED",
    `${what} got no answer: ${reasonOf(cause)}. Check the address and the service; a rule for "network" in retry tries again.`,
    { cause },
  );
}

/** What `fetch` throws says little; why is in its cause. */
function reasonOf(error: Error): string {
  let deepest = error;
  while (deepest.cause instanceof Error) deepest = deepest.cause;
  const code: unknown = readSafely(deepest, "code");
  return deepest.message || (typeof code === "string" ? code : deepest.name);
}

/** Errors of other libraries may repeat the URL or a header. */
function withoutSecrets(redaction: Redaction, error: unknown, depth = 0): Error {
  const text = (key: string) => {
    const value = readSafely(error, key);
    return typeof value === "string" ? redaction.text(value) : undefined;
  };
  const inner = readSafely(error, "cause");
  const cause =
    inner === undefined || depth === 4
      ? undefined
      : { cause: withoutSecrets(redaction, inner, depth + 1) };
  const copy = new Error(text("message") ?? redaction.text(describeValue(error)), cause);
  copy.name = text("name") ?? "Error";
  copy.stack = text("stack") ?? copy.message;
  const code = text("code");
  return code === undefined ? copy : Object.assign(copy, { code });
}
