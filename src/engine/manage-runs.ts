import { toErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import { isInternal } from "../core/final.js";
import type { RunHandle } from "../core/run.js";
import { isFinal, openStatuses } from "../core/run-status.js";
import type { NewRun, RunRecord, RunWrite } from "../core/storage.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";
import { finishRun } from "./finish-run.js";
import { createInvokedRun } from "./flow-start.js";
import { newId } from "./ids.js";
import { decodeMeta, encodeMeta } from "./run-meta.js";
import { admitInvoke, resolveJob } from "./start-runs.js";

export interface CancelResult {
  /** False: it had ended before, or was retried before the answer came. */
  readonly canceled: boolean;
}

export interface CancelManyResult {
  readonly canceledRunIds: readonly string[];
  /** Ended before the cancel got to them. */
  readonly finishedRunIds: readonly string[];
}

export function runNotFound(id: string): RunError {
  return new RunError(
    "RUN_NOT_FOUND",
    `There is no run "${id}" in this storage. Check the id; finished runs go with purge.`,
  );
}

export async function cancelRun(engine: Engine, id: string): Promise<CancelResult> {
  const error = toErrorRecord(new RunError("RUN_CANCELED", `Run ${id} was cancelled.`));
  // Events and tokens have calls of their own.
  const { result, run } = await finishRun(engine, id, ({ jobId }) =>
    isInternal(jobId) ? undefined : { status: "CANCELED", error },
  );
  if (run === undefined || isInternal(run.jobId)) throw runNotFound(id);
  return { canceled: result === "ended" };
}

/** Every open run of a job or an event, page by page. */
export async function cancelRunsOf(
  engine: Engine,
  which: { readonly jobId: string } | { readonly eventId: string },
): Promise<CancelManyResult> {
  const canceledRunIds: string[] = [];
  const finishedRunIds: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await engine.rawStorage.listRuns({
      statuses: [...openStatuses, "QUEUED"],
      limit: 200,
      ...("jobId" in which ? { jobIds: [which.jobId] } : which),
      ...(cursor === undefined ? undefined : { cursor }),
    });
    for (const { id } of page.runs) {
      const { canceled } = await cancelRun(engine, id);
      (canceled ? canceledRunIds : finishedRunIds).push(id);
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return { canceledRunIds, finishedRunIds };
}

/** The same run goes on: completed tasks are kept, failed ones are tried afresh. A run that is blocked or waits on connections is tried at once. */
export async function retryRun(engine: Engine, id: string): Promise<void> {
  let first: RunRecord | undefined;
  for (;;) {
    const [run] = await engine.storage.getRuns([id]);
    if (run === undefined || isInternal(run.jobId)) throw runNotFound(id);
    first ??= run;
    // The answer to the write was lost, and the run has moved on since: a later write took the place of its id.
    if (run.generation > first.generation || (isHeldUp(first) && !isHeldUp(run))) return;
    const now = await engine.rawStorage.now();
    engine.storeClock.observe(now);
    const { result } = await engine.queue.submit(retryWrite(engine, run, now));
    if (result === "ok") return;
    if (result === "missing") throw runNotFound(id);
  }
}

/** A retry makes it due at once; nothing is done afresh for it. */
function isHeldUp({ blocked, status }: RunRecord): boolean {
  return blocked !== null || status === "WAITING_ON_CONNECTIONS";
}

function retryWrite(engine: Engine, run: RunRecord, now: number): RunWrite {
  const base = {
    runId: run.id,
    writeId: engine.writeIds.next(),
    release: { wakeAt: now, wakeSignals: 1 },
  } as const;
  if (isHeldUp(run)) {
    return {
      ...base,
      guard: { statuses: [run.status], inbox: run.inbox },
      run: { status: run.blocked === null ? run.status : "WAITING" },
    };
  }
  if (!isFinal(run.status) || run.status === "COMPLETED") {
    throw new RunError(
      "RUN_NOT_FINAL",
      `Run ${run.id} is ${run.status}; only a run that ended badly, is blocked or waits on connections can be retried. Use replayRun for a new run with the same payload.`,
    );
  }
  return {
    ...base,
    guard: { statuses: [run.status], generation: run.generation },
    reopen: true,
    run: {
      status: "PENDING",
      output: null,
      error: null,
      finishedAt: null,
      stalls: 0,
      // The first start stays on record; maxDuration counts anew from here.
      deadlineAt:
        run.startedAt === null || run.maxDurationMs === null ? null : now + run.maxDurationMs,
      ...(run.status === "INVALID_PAYLOAD" ? { admitted: null } : undefined),
    },
  };
}

/** A new run with the same payload, or another one. */
export async function replayRun(
  engine: Engine,
  id: string,
  options: { readonly payload?: unknown } = {},
): Promise<RunHandle> {
  const [run] = await engine.storage.getRuns([id]);
  if (run === undefined || isInternal(run.jobId)) throw runNotFound(id);
  const { definition, version, maxDurationMs } = await resolveJob(engine, run.jobId);
  const payload =
    "payload" in options ? await encodeValue(engine, options.payload, "payload") : run.payload;
  const admission =
    definition === undefined ? undefined : await admitInvoke(engine, definition, payload ?? "");
  const now = engine.storeClock.now();
  const replay: NewRun = {
    id: newId(now),
    jobId: run.jobId,
    version,
    status: "PENDING",
    wakeAt: now,
    payload,
    admitted: admission?.admitted ?? null,
    limitKeys: admission?.limitKeys ?? [],
    priority: run.priority,
    tags: run.tags,
    maxDurationMs,
    isTest: run.isTest,
    // The ttl was that of the first run.
    meta: encodeMeta({ ...decodeMeta(run.meta), expiresAt: undefined }),
    eventId: run.eventId,
  };
  const { id: created } = await createInvokedRun(engine, replay);
  return { id: created };
}
