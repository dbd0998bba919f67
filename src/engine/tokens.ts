import { durationMs } from "../core/duration.js";
import { toErrorRecord } from "../core/error-record.js";
import { ConfigError, RunError, WaitTimeoutError } from "../core/errors.js";
import type { Ending } from "../core/final.js";
import { assertText } from "../core/key.js";
import { assertOptions, describe } from "../core/options.js";
import type { NewRun, RunRecord } from "../core/storage.js";
import type { CompleteTokenResult, Token, TokenOptions } from "../core/token.js";
import { tokenOfUrl, urlOfToken } from "../core/token-url.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";
import { finishRun } from "./finish-run.js";
import { newId } from "./ids.js";
import { createKeyedRun } from "./start-runs.js";

/**
 * Internal job of tokens. No worker executes a run of it: completing it is its
 * final commit, so the first one wins, and who waits watches its end (contract E8).
 */
export const TOKEN_JOB = "$token";

export function newToken(
  engine: Engine,
  options: TokenOptions,
  identity: { readonly id: string; readonly parentId?: string; readonly parentPath?: string },
): NewRun {
  assertOptions(options, ["timeout"], "createToken");
  const { timeout } = options;
  const now = engine.storeClock.now();
  return {
    ...identity,
    jobId: TOKEN_JOB,
    version: "0.0.0",
    status: "PENDING",
    wakeAt: null,
    payload: null,
    deadlineAt: timeout === undefined ? null : now + durationMs(timeout, "timeout of createToken"),
  };
}

export async function createToken(engine: Engine, options: TokenOptions): Promise<Token> {
  const first = newToken(engine, options, { id: newId(engine.storeClock.now()) });
  await createKeyedRun(engine, first);
  return withUrl(engine, { id: first.id });
}

export function withUrl<T extends Token>(engine: Engine, token: T): T {
  const { tokenUrls } = engine;
  return tokenUrls === undefined ? token : { ...token, url: urlOfToken(token.id, tokenUrls) };
}

export async function completeToken(
  engine: Engine,
  token: Token | string | URL,
  data: unknown,
): Promise<CompleteTokenResult> {
  const id = token instanceof URL ? signedId(engine, token) : tokenId(token, "completeToken");
  const output = await encodeValue(engine, data, `data of token ${id}`);
  const { result, run } = await finishRun(engine, id, (open, now) =>
    open.jobId !== TOKEN_JOB || isExpired(open, now) ? undefined : { status: "COMPLETED", output },
  );
  if (result === "missing" || run?.jobId !== TOKEN_JOB) throw tokenNotFound(id);
  return { completed: result === "ended" };
}

/** @throws RunError TOKEN_URL_INVALID */
function signedId({ tokenUrls }: Engine, url: URL): string {
  const id = tokenUrls === undefined ? undefined : tokenOfUrl(url, tokenUrls);
  if (id !== undefined) return id;
  throw new RunError(
    "TOKEN_URL_INVALID",
    `The URL with the path ${describe(url.pathname)} was not made for a token with one of the client's secrets. Nothing was completed.`,
  );
}

/** Nobody may have noticed yet. */
function isExpired({ deadlineAt }: RunRecord, now: number): boolean {
  return deadlineAt !== null && deadlineAt <= now;
}

export function expiredTokenEnding({ id }: RunRecord): Ending {
  const message = `Token ${id} was not completed in time. Complete it sooner, or create it with a longer timeout.`;
  return { status: "TIMED_OUT", error: toErrorRecord(new WaitTimeoutError(message)) };
}

export function tokenId(token: Token | string, where: string): string {
  const id: unknown = typeof token === "string" ? token : token?.id;
  if (typeof id === "string") {
    assertText(id, `token of ${where}`, { maxBytes: 512 });
    return id;
  }
  throw new ConfigError(
    "OPTION_INVALID",
    `${where} takes a token or its id, got ${describe(token)}.`,
  );
}

export function tokenNotFound(id: string): RunError {
  return new RunError(
    "TOKEN_NOT_FOUND",
    `There is no token "${id}" in this storage. Check the id; completed tokens go with purge.`,
  );
}
