import { derivedId } from "./derived-id.js";
import { type ErrorRecord, encodeErrorRecord } from "./error-record.js";
import type { FinalStatus } from "./run-status.js";
import {
  type NewRun,
  type NewSignal,
  type RunPatch,
  type RunRecord,
  type Signal,
  WATCH_TOPIC,
  type WatchRef,
} from "./storage.js";

export type HookName = "onStart" | "onSuccess" | "onFailure" | "onCancel";

/** How a run ended. */
export interface Ending {
  readonly status: FinalStatus;
  readonly output?: string | null;
  readonly error?: ErrorRecord;
}

/** State of a `$hook:` run. */
export interface HookState {
  readonly runId: string;
  readonly hook: HookName;
  readonly generation: number;
  /** How it ended then: a retry may have changed the run before the hook is called. */
  readonly ending?: Pick<Ending, "status" | "error">;
}

/** What a final commit sets, whoever makes it. */
export function finalPatch(ending: Ending, now: number): RunPatch {
  return {
    status: ending.status,
    output: ending.output ?? null,
    error: ending.error === undefined ? null : encodeErrorRecord(ending.error),
    blocked: null,
    finishedAt: now,
    deadlineAt: null,
  };
}

/** Topic on which a run tells others that it ended. */
export function endTopic(runId: string): string {
  return `run:${runId}`;
}

/** The parent and everyone who watches learn of the end in the final commit itself (S9). */
export function endSignals(
  run: Pick<RunRecord, "id" | "parentId" | "parentPath" | "generation">,
  inbox: readonly Signal[],
): NewSignal[] {
  const signals: NewSignal[] = [];
  if (run.parentId !== null) {
    signals.push({
      runId: run.parentId,
      id: `end:${run.id}:${run.generation}`,
      topic: endTopic(run.id),
      ref: run.id,
    });
  }
  for (const signal of inbox) {
    if (signal.topic !== WATCH_TOPIC || signal.ref === null) continue;
    const watch = JSON.parse(signal.ref) as WatchRef;
    signals.push({ runId: watch.watcherId, id: watch.signalId, topic: watch.topic, ref: run.id });
  }
  return signals;
}

/** Which hook a final status calls. */
export function hookOf(status: FinalStatus): HookName {
  if (status === "COMPLETED") return "onSuccess";
  return status === "CANCELED" ? "onCancel" : "onFailure";
}

/** A hook is a run of an internal job, made by the commit that calls for it: no crash comes between. */
export function hookRun(
  run: Pick<RunRecord, "id" | "jobId" | "version" | "generation">,
  hook: HookName,
  now: number,
  ending?: Ending,
): NewRun {
  const { id: runId, generation } = run;
  const state: HookState = {
    runId,
    hook,
    generation,
    ...(ending === undefined ? undefined : { ending: withoutOutput(ending) }),
  };
  return {
    id: derivedId(hook, run.id, "", String(run.generation)),
    jobId: hookJobId(run.jobId),
    version: run.version,
    status: "PENDING",
    wakeAt: now,
    payload: null,
    // A purge spares the run for as long as this is open.
    parentId: run.id,
    state: JSON.stringify(state),
  };
}

function withoutOutput({ status, error }: Ending): HookState["ending"] {
  return error === undefined ? { status } : { status, error };
}

const HOOK_PREFIX = "$hook:";

export function hookJobId(jobId: string): string {
  return HOOK_PREFIX + jobId;
}

export function isInternal(jobId: string): boolean {
  return jobId.startsWith("$");
}

export function isHookJob(jobId: string): boolean {
  return jobId.startsWith(HOOK_PREFIX);
}
