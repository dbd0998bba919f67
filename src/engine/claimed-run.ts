import { toErrorRecord } from "../core/error-record.js";
import { type Ending, endSignals, finalPatch, hookOf, hookRun } from "../core/final.js";
import type { ClaimedRun, RunWrite, TaskRecord } from "../core/storage.js";
import { type Admission, admitText, maxDurationMsOf } from "./admission.js";
import { unblocked } from "./block.js";
import type { Engine, RunningJob } from "./engine.js";
import { passFlow } from "./flow-claim.js";
import { holdBack } from "./give-back.js";
import { lateEnding, stalledEnding } from "./overdue.js";
import { payloadInvalid } from "./start-runs.js";
import { unstarted } from "./unstarted.js";

const TASK_PAGE_BYTES = 16 * 1024 * 1024;
const DEFAULT_STALLS = 5;

/**
 * Makes a claimed run ready for an execution: the rest of its records, its
 * admission if its sender did not have the job, its end if it stalled too often.
 */
export async function admitClaimed(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
): Promise<ClaimedRun | undefined> {
  try {
    return await readied(engine, job, claimed);
  } catch (error) {
    engine.onTrouble(error);
    await holdBack(engine, job, claimed, error);
    return undefined;
  }
}

async function readied(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
): Promise<ClaimedRun | undefined> {
  const complete = await withAllTasks(engine, claimed);
  const { run } = complete;
  const late = lateEnding(run, engine.storeClock.now());
  if (late !== undefined) {
    await end(engine, job, complete, late);
    return undefined;
  }
  if (run.stalls >= (job.options.maxExecutionsWithoutProgress ?? DEFAULT_STALLS)) {
    await end(engine, job, complete, stalledEnding(run, openTasks(complete.tasks)));
    return undefined;
  }
  const admitted = run.admitted === null ? await admitLate(engine, job, complete) : complete;
  return admitted === undefined ? undefined : await passRules(engine, job, admitted);
}

/** Its job may say that it is not to start now, or not at all. */
async function passRules(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
): Promise<ClaimedRun | undefined> {
  let asked = claimed;
  for (;;) {
    const passed = await passFlow(engine, job, asked);
    if (passed === "waits") return undefined;
    if ("run" in passed) return passed;
    const { ending, state, values } = passed;
    const decided = values.length === 0 ? {} : { state: JSON.stringify(state) };
    const left = await tryEnd(engine, job, asked, ending, { run: decided, values });
    if (left === undefined) return undefined;
    asked = left;
  }
}

async function withAllTasks(engine: Engine, kept: ClaimedRun): Promise<ClaimedRun> {
  if (kept.tasksComplete && !kept.kept) return kept;
  const claimed = kept.kept ? await evicted(engine, kept) : kept;
  const tasks: TaskRecord[] = [...claimed.tasks];
  for (;;) {
    const page = await engine.storage.listTasks(
      claimed.run.id,
      tasks.at(-1)?.seq ?? 0,
      TASK_PAGE_BYTES,
    );
    tasks.push(...page.tasks);
    if (page.complete || page.tasks.length === 0) return { ...claimed, tasks, tasksComplete: true };
  }
}

/** The store thought this process had the execution in memory, but the frame was evicted: this is a replay. */
async function evicted(engine: Engine, claimed: ClaimedRun): Promise<ClaimedRun> {
  const logCounts: Record<string, number> = Object.create(null);
  for (let after = 0; ; ) {
    const page = { after, limit: 1_000 };
    const lines = await engine.patience.until(() =>
      engine.rawStorage.listLogs(claimed.run.id, page),
    );
    for (const { stream } of lines) logCounts[stream] = (logCounts[stream] ?? 0) + 1;
    after = lines.at(-1)?.position ?? after;
    if (lines.length < 1_000) break;
  }
  return {
    ...claimed,
    logCounts,
    run: { ...claimed.run, executionCount: claimed.run.executionCount + 1 },
  };
}

function openTasks(tasks: readonly TaskRecord[]): string[] {
  return tasks.filter((task) => task.status === "RUNNING").map((task) => task.path);
}

/** Contract E1: the first claimer with the job's code decides once, and commits that before `run`. */
async function admitLate(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
): Promise<ClaimedRun | undefined> {
  const { run } = claimed;
  let admission: Admission;
  try {
    admission = await admitText(engine, job, run.payload ?? "");
  } catch (error) {
    await end(engine, job, claimed, { status: "FAILED", error: toErrorRecord(error) });
    return undefined;
  }
  if (!admission.ok) {
    const error = toErrorRecord(payloadInvalid(job.id, admission.issues));
    await end(engine, job, claimed, { status: "INVALID_PAYLOAD", error });
    return undefined;
  }
  const { admitted, limitKeys } = admission;
  const tags = [...admission.tags, ...run.tags];
  const maxDurationMs = run.maxDurationMs ?? maxDurationMsOf(job);
  const write: RunWrite = {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: { admitted, tags, limitKeys, maxDurationMs },
  };
  if (limitKeys.length > 0) {
    // A slot is only ever taken by a claim that sees the key (S7): give the run back, unstarted.
    const release = { wakeAt: engine.storeClock.now(), wakeSignals: 1 };
    const patch = {
      ...write.run,
      ...unblocked(run),
      ...unstarted(run),
      status: "PENDING",
    } as const;
    await engine.queue.submit({ ...write, run: patch, release });
    return undefined;
  }
  // The claim set the deadline, unless the sender did not know of a limit.
  const deadlineAt =
    run.maxDurationMs === null && maxDurationMs !== null
      ? engine.storeClock.now() + maxDurationMs
      : run.deadlineAt;
  const answer = await engine.queue.submit({ ...write, run: { ...write.run, deadlineAt } });
  if (answer.result !== "ok") return undefined;
  return {
    ...claimed,
    run: { ...run, admitted, tags, limitKeys, maxDurationMs, deadlineAt },
  };
}

/** Ends a run that this worker holds and that never gets to an execution. */
async function end(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
  ending: Ending,
): Promise<void> {
  let left: ClaimedRun | undefined = claimed;
  while (left !== undefined) left = await tryEnd(engine, job, left, ending, {});
}

/** Gives the run as it is now, if something has come in meanwhile or what was decided does not hold any more. */
async function tryEnd(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
  ending: Ending,
  decided: Pick<RunWrite, "run" | "values">,
): Promise<ClaimedRun | undefined> {
  const { run, signals } = claimed;
  const now = engine.storeClock.now();
  const hook = hookOf(ending.status);
  const told = endSignals(run, signals);
  const answer = await engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch, inbox: run.inbox },
    ...decided,
    run: { ...decided.run, ...unstarted(run), ...finalPatch(ending, now) },
    ...(told.length === 0 ? undefined : { signals: told }),
    ...(job.options[hook] === undefined ? undefined : { runs: [hookRun(run, hook, now, ending)] }),
  });
  if (answer.result === "ok") {
    engine.runEnded(run.id);
    engine.outsiderEnded(run, ending, now);
  }
  if (answer.result !== "conflict") return undefined;
  const { inbox } = answer;
  return { ...claimed, signals: await engine.storage.listSignals(run.id), run: { ...run, inbox } };
}
