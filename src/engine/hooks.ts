import { toErrorRecord } from "../core/error-record.js";
import { finalPatch, type HookState } from "../core/final.js";
import type { Hook } from "../core/job.js";
import { resolveRetry, retry, retryDelayMs } from "../core/retry.js";
import type { RunNotification } from "../core/run.js";
import type { ClaimedRun, RunWrite } from "../core/storage.js";
import { runOutsideScope } from "./async-context.js";
import type { Engine, RunningJob } from "./engine.js";
import { randomFraction } from "./ids.js";
import { notificationOf } from "./notification.js";

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
  const state = JSON.parse(run.state ?? "{}") as StoredState;
  const guard = { epoch: run.epoch };
  const base = { runId: run.id, guard } as const;
  try {
    const [subject] = await engine.storage.getRuns([state.runId]);
    const hook = job.options[state.hook];
    if (subject !== undefined && hook !== undefined)
      await callOutside(hook, await notificationOf(engine, subject));
    const now = engine.storeClock.now();
    await engine.queue.submit({
      ...base,
      writeId: engine.writeIds.next(),
      run: finalPatch({ status: "COMPLETED" }, now),
    });
  } catch (error) {
    engine.onTrouble(error);
    await engine.queue.submit({
      ...base,
      writeId: engine.writeIds.next(),
      ...afterFailure(engine, state, error),
    });
  }
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
