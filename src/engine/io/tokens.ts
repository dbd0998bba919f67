import { derivedId } from "../../core/derived-id.js";
import { type Duration, durationMs } from "../../core/duration.js";
import { decodeErrorRecord, fromErrorRecord } from "../../core/error-record.js";
import { WaitTimeoutError } from "../../core/errors.js";
import { endTopic } from "../../core/final.js";
import type { Key } from "../../core/key.js";
import { assertOptions } from "../../core/options.js";
import { isFinal } from "../../core/run-status.js";
import type { RunRecord, Signal, TaskRecord } from "../../core/storage.js";
import { encodeTaskData } from "../../core/task-data.js";
import type { Token, TokenOptions } from "../../core/token.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { newToken, TOKEN_JOB, tokenId, tokenNotFound, withUrl } from "../tokens.js";
import { failOp } from "./invoke.js";
import { rejected } from "./run-task.js";

/** Token and record are one commit, so there is never a second token. */
export function createTokenTask(
  scope: Scope,
  key: Key,
  options: TokenOptions = {},
): Promise<Token<never>> {
  const { execution } = scope;
  const { codec } = execution.engine;
  // What is stored lets nobody complete it: the URL is made anew each time.
  const decode = async ({ output }: TaskRecord) =>
    withUrl(execution.engine, (await codec.decode(output ?? "")) as Token<never>);
  return execution.call(scope, key, "createToken", decode, (op) => {
    void execution.hold(async () => {
      try {
        const id = derivedId("token", op.runId, op.path, op.scope.tag);
        const identity = { id, parentId: op.runId, parentPath: op.path };
        const token = newToken(execution.engine, options, identity);
        const output = await codec.encode({ id });
        execution.writer.pending.runs.push(token);
        execution.record(op, { status: "COMPLETED", attempts: 1, output }, "settle");
      } catch (error) {
        failOp(op, error);
      }
    });
  });
}

/** Waits by a watch on the token, which is answered also if it was completed before. */
export function waitForTokenTask<T>(
  scope: Scope,
  key: Key,
  token: Token | string,
  options: { readonly timeout?: Duration } = {},
): Promise<T> {
  const { execution } = scope;
  const { codec, storeClock } = execution.engine;
  let id: string;
  let timeoutMs: number | undefined;
  try {
    assertOptions(options, ["timeout"], "io.waitForToken");
    id = tokenId(token, "io.waitForToken");
    if (options.timeout !== undefined)
      timeoutMs = durationMs(options.timeout, "timeout of io.waitForToken");
  } catch (error) {
    return rejected(error);
  }
  const decode = ({ output }: TaskRecord) => codec.decode(output ?? "");
  return execution.call<T>(scope, key, "waitForToken", decode, (op, earlier) => {
    if (earlier?.status === "WAITING") {
      waitForEnd(op, id, earlier.wakeAt ?? undefined);
      execution.waits.lookAgain(op, id, (found) => seenAgain(op, id, found));
      return;
    }
    void unlessOver(op, id, () => {
      const wakeAt = timeoutMs === undefined ? null : storeClock.now() + timeoutMs;
      recordWaiting(op, id, wakeAt);
      waitForEnd(op, id, wakeAt ?? undefined);
    });
  });
}

/**
 * What is over needs no watch, and an ordinary run would be watched until its
 * end. A token that is not there is for the watch to tell: the store may not
 * have applied its creation yet (contract S10).
 */
async function unlessOver(op: Op, id: string, wait: () => void): Promise<void> {
  const { execution } = op.scope;
  let found: RunRecord | undefined;
  await execution.hold(async () => {
    found = await execution.engine.reader.read(id);
  });
  // Recorded once the hold is over, so that record, watch and park are one commit.
  if (op.scope.isClosed || !execution.isLive) return;
  if (found === undefined || isOpenToken(found)) wait();
  else recordEnd(op, id, found);
}

function isOpenToken({ jobId, status }: RunRecord): boolean {
  return jobId === TOKEN_JOB && !isFinal(status);
}

function recordWaiting(op: Op, targetId: string, wakeAt: number | null): void {
  const { execution, tag } = op.scope;
  const signalId = `watch:${targetId}:${op.path}:${tag}`;
  execution.writer.pending.watches.push({ targetId, signalId, topic: endTopic(targetId) });
  const data = encodeTaskData({ childId: targetId, tag });
  execution.record(op, { status: "WAITING", wakeAt, data });
}

function waitForEnd(op: Op, id: string, wakeAt: number | undefined): void {
  op.scope.execution.waits.add(op, {
    topic: endTopic(id),
    onSignal: (signal) => tokenEnded(op, id, signal),
    ...(wakeAt === undefined ? undefined : { wakeAt, onDue: () => timedOut(op, id) }),
  });
}

function timedOut(op: Op, id: string): void {
  const message = `Token ${id} was not completed in time for "${op.path}" of run ${op.runId}. It can still be completed; raise the timeout, or wait again.`;
  failOp(op, new WaitTimeoutError(message), { childId: id });
}

function tokenEnded(op: Op, id: string, signal: Signal): void {
  const { execution } = op.scope;
  void execution.hold(async () => {
    const token = await execution.engine.reader.read(id);
    execution.writer.pending.signalsRead.push(signal.id);
    recordEnd(op, id, token);
  });
}

/** As a replay finds the token of a wait that is recorded. */
function seenAgain(op: Op, id: string, token: RunRecord | undefined): void {
  if (token !== undefined && !isFinal(token.status)) return;
  op.waiting = undefined;
  recordEnd(op, id, token);
}

function recordEnd(op: Op, id: string, token: RunRecord | undefined): void {
  if (token?.jobId !== TOKEN_JOB) {
    failOp(op, tokenNotFound(id), { childId: id });
  } else if (token.status === "COMPLETED") {
    const data = encodeTaskData({ childId: id });
    const { output } = token;
    op.scope.execution.record(op, { status: "COMPLETED", attempts: 1, output, data }, "settle");
  } else {
    failOp(op, fromErrorRecord(decodeErrorRecord(token.error ?? "")), { childId: id });
  }
}
