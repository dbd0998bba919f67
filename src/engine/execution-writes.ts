import { type Ending, endSignals, finalPatch, hookOf, hookRun } from "../core/final.js";
import type { Release, RunPatch, RunWrite, TaskWrite } from "../core/storage.js";
import { blocked, unblocked } from "./block.js";
import { connectionsPatch, connectionsRelease } from "./connections.js";
import type { Execution } from "./execution.js";
import type { LeaveReason } from "./execution-host.js";
import type { Op } from "./op.js";
import { mayBeKept } from "./parked-frames.js";
import type { PendingWrite } from "./pending-write.js";
import { type Draft, taskWrite } from "./task-write.js";
import { unstarted } from "./unstarted.js";
import type { WriteTurn } from "./write-turn.js";

/** Records alone: the run row stays as it is, unless a third of the lease has passed (S12). */
export function recordsWrite(
  execution: Execution,
  pending: PendingWrite,
  extendsLease = execution.lease.wantsExtension,
): RunWrite {
  const { lease, runId, engine, epoch } = execution;
  const write = pending.toWrite(runId, engine.writeIds.next(), { epoch });
  return extendsLease ? lease.extend(write) : write;
}

/** The one record of a turn, for whoever has the turn to commit. */
export function turnWrite(
  { runId, epoch, engine }: Execution,
  { seq }: WriteTurn,
  op: Op,
  draft: Draft,
): { readonly write: RunWrite; readonly record: TaskWrite } {
  const now = engine.storeClock.now();
  const record = taskWrite(op, draft, { seq, now, replaces: op.record?.seq });
  const writeId = engine.writeIds.next();
  return { write: { runId, writeId, guard: { epoch }, tasks: [record] }, record };
}

/** Records the waits and gives the run back until one of them is due. */
export function parkWrite(execution: Execution, pending: PendingWrite): RunWrite {
  for (const op of execution.ops.values()) op.waiting?.parkRecord?.();
  pending.signalsRead.push(...execution.inbox.takeRest());
  const patch: RunPatch = { ...pending.patch, status: "WAITING", ...progress(execution, pending) };
  return assemble(execution, pending, patch, {
    ...dueWhen(execution),
    keep: mayBeKept(execution),
  });
}

/** Gives the run back before it ends: it is due again at once, or after a pause if it is blocked. */
export function releaseWrite(
  execution: Execution,
  reason: LeaveReason,
  pending: PendingWrite,
): RunWrite {
  const now = execution.engine.storeClock.now();
  const patch: RunPatch = {
    ...pending.patch,
    status: "WAITING",
    ...progress(execution, pending, reason),
    ...(execution.hasBegun ? undefined : unstarted(execution.run)),
  };
  if (reason.kind === "connections") {
    const waiting = { ...patch, ...connectionsPatch(execution, reason.missing) };
    return assemble(execution, pending, waiting, connectionsRelease(now));
  }
  if (reason.kind !== "blocked")
    return assemble(execution, pending, patch, { wakeAt: now, wakeSignals: 1 });
  const { engine, run, job } = execution;
  const block = blocked(engine, run, job.version, reason.error);
  return assemble(execution, pending, { ...patch, ...block.patch }, block.release);
}

/** The end, told to parent, watchers and hooks in the same commit. */
export function finalWrite(execution: Execution, ending: Ending, pending: PendingWrite): RunWrite {
  const { run, engine } = execution;
  const now = engine.storeClock.now();
  const hook = hookOf(ending.status);
  const hooks = execution.job.options[hook] === undefined ? [] : [hookRun(run, hook, now, ending)];
  const signals = endSignals(run, execution.inbox.watches);
  const guard = { epoch: execution.epoch, inbox: execution.inbox.count };
  const write = pending.toWrite(run.id, engine.writeIds.next(), guard);
  if (hooks.length > 0) write.runs = [...(write.runs ?? []), ...hooks];
  if (signals.length > 0) write.signals = signals;
  write.run = { ...write.run, ...finalPatch(ending, now), lastSeq: execution.writer.seq };
  return write;
}

function assemble(
  execution: Execution,
  pending: PendingWrite,
  run: RunPatch,
  release: Release,
): RunWrite {
  const { runId, epoch, engine } = execution;
  const write = pending.toWrite(runId, engine.writeIds.next(), { epoch });
  write.run = run;
  write.release = release;
  return write;
}

/** Contract E10: what a release says about progress. */
function progress(execution: Execution, pending: PendingWrite, reason?: LeaveReason): RunPatch {
  const { run } = execution;
  const progressed = execution.progressed || pending.hasProgress;
  const limitWithoutRecord = reason?.kind === "limit" && !progressed;
  return {
    lastSeq: execution.writer.seq,
    stalls: progressed ? 0 : run.stalls + (limitWithoutRecord ? 1 : 0),
    ...unblocked(run),
  };
}

/** The earliest instant, and how many signals, make the parked run due (S8). */
function dueWhen(execution: Execution): Release {
  let wakeAt = Number.POSITIVE_INFINITY;
  let open = 0;
  const batches = new Set<object | undefined>();
  for (const { waiting } of execution.ops.values()) {
    if (waiting === undefined) continue;
    if (waiting.wakeAt !== undefined) wakeAt = Math.min(wakeAt, waiting.wakeAt);
    open++;
    batches.add(waiting.batch);
  }
  const oneBatch = batches.size === 1 && !batches.has(undefined);
  return { wakeAt: Number.isFinite(wakeAt) ? wakeAt : null, wakeSignals: oneBatch ? open : 1 };
}
