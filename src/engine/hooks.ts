import { encodeErrorRecord, toErrorRecord } from "../core/error-record.js";
import { finalPatch, type HookState } from "../core/final.js";
import type { Hook } from "../core/job.js";
import { resolveRetry, retry, retryDelayMs } from "../core/retry.js";
import type { RunNotification } from "../core/run.js";
import type { ClaimedRun, RunRecord, RunWrite } from "../core/storage.js";
import { runOutsideScope } from "./async-context.js";
import type { Engine, RunningJob } from "./engine.js";
import { randomFraction } from "./ids.js";
import { notificationOf } from "./notification.js";
import { stalledEnding } from "./overdue.js";

const MOST_STALLS = 5;
const hookRetry = resolveRetry(retry.standardBackoff);

interface StoredState extends HookState {
  readonly failures?: number;
}

/**
 * Calls one durable hook and records that it was called. A crash in between
 * repeats it. A hook that throws is called again with backoff, some times; what
 * it does never changes the run.
 */
export async function callHook(
  engine: Engine,
  job: RunningJob,
  { run }: ClaimedRun,
): Promise<void> {
  const outcome = await outcomeOf(engine, job, run);
  await engine.queue.submit({
    runId: run.id,
    guard: { epoch: run.epoch },
    writeId: engine.writeIds.next(),
    ...outcome,
  });
}

type Outcome = Pick<RunWrite, "run" | "release">;

async function outcomeOf(engine: Engine, job: RunningJob, run: RunRecord): Promise<Outcome> {
  const state = JSON.parse(run.state ?? "{}") as StoredState;
  // It takes its process down each time.
  if (run.stalls >= MOST_STALLS)
    return { run: finalPatch(stalledEnding(run, []), engine.storeClock.now()) };
  const stopRenewing = keepLease(engine, run);
  try {
    const [subject] = await engine.storage.getRuns([state.runId]);
    const hook = job.options[state.hook];
    if (subject !== undefined && hook !== undefined)
      await callOutside(hook, await notificationOf(engine, asItEnded(subject, state)));
    return { run: finalPatch({ status: "COMPLETED" }, engine.storeClock.now()) };
  } catch (error) {
    engine.onTrouble(error);
    return afterFailure(engine, state, error);
  } finally {
    stopRenewing();
  }
}

/** A run that was retried since this hook was called for is told of as it was then. */
function asItEnded(subject: RunRecord, { generation, ending }: StoredState): RunRecord {
  if (ending === undefined || subject.generation === generation) return subject;
  const error = ending.error === undefined ? null : encodeErrorRecord(ending.error);
  return { ...subject, status: ending.status, error, output: null };
}

/** A hook may take longer than a lease; without renewal it would be called again beside itself. */
function keepLease(engine: Engine, run: RunRecord): () => void {
  let disarm = () => {};
  const arm = () => {
    disarm = engine.clock.setTimer(engine.leaseMs / 3, () => {
      arm();
      const renewal = engine.queue.submit({
        runId: run.id,
        guard: { epoch: run.epoch },
        writeId: engine.writeIds.next(),
        leaseUntil: engine.storeClock.now() + engine.leaseMs,
      });
      renewal.catch(engine.onTrouble);
    });
  };
  arm();
  return () => disarm();
}

/** A hook may start runs: it must not count as code of the run whose worker calls it. */
async function callOutside(hook: Hook, notification: RunNotification): Promise<void> {
  await runOutsideScope(() => hook(notification));
}

function afterFailure(
  engine: Engine,
  state: StoredState,
  error: unknown,
): Pick<RunWrite, "run" | "release"> {
  const failures = (state.failures ?? 0) + 1;
  const now = engine.storeClock.now();
  const delay = retryDelayMs(hookRetry, failures, randomFraction);
  if (delay === undefined) {
    return { run: finalPatch({ status: "FAILED", error: toErrorRecord(error) }, now) };
  }
  return {
    run: { status: "WAITING", state: JSON.stringify({ ...state, failures }) },
    release: { wakeAt: now + delay, wakeSignals: 0 },
  };
}
