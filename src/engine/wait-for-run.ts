import { type Duration, durationMs } from "../core/duration.js";
import { fromErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import { isInternal } from "../core/final.js";
import { assertOptions } from "../core/options.js";
import type { Run } from "../core/run.js";
import { isFinal } from "../core/run-status.js";
import type { Block } from "./block.js";
import type { Engine } from "./engine.js";
import { runNotFound } from "./manage-runs.js";
import { viewRun } from "./run-view.js";

export interface WaitForRunOptions {
  /** Rejects with RUN_WAIT_TIMEOUT. Default: none. */
  readonly timeout?: Duration;
}

/** Looks at the run when this process learns of its end, and at every poll, since others may end it. */
export async function waitForRun(
  engine: Engine,
  id: string,
  options: WaitForRunOptions = {},
): Promise<Run> {
  assertOptions(options, ["timeout"], "waitForRun");
  const timeoutMs =
    options.timeout === undefined
      ? undefined
      : durationMs(options.timeout, "timeout of waitForRun");
  const startedAt = engine.clock.monotonic();
  for (let pauseMs = 10; ; pauseMs = Math.min(engine.pollMs, pauseMs * 2)) {
    // Listen before looking: an end in between is not missed.
    const sign = signOfEnd(engine, id);
    try {
      const done = await finishedRun(engine, id);
      if (done !== undefined) return done;
      const left =
        timeoutMs === undefined
          ? Number.POSITIVE_INFINITY
          : timeoutMs - (engine.clock.monotonic() - startedAt);
      if (left <= 0) throw timedOut(id, timeoutMs ?? 0);
      await sign.within(Math.min(pauseMs, left));
    } finally {
      sign.stop();
    }
  }
}

async function finishedRun(engine: Engine, id: string): Promise<Run | undefined> {
  const run = await engine.reader.read(id);
  if (run === undefined || isInternal(run.jobId)) throw runNotFound(id);
  if (run.blocked !== null) throw fromErrorRecord((JSON.parse(run.blocked) as Block).error);
  return isFinal(run.status) ? viewRun(engine, run, run.finishedAt ?? run.createdAt) : undefined;
}

function signOfEnd(
  engine: Engine,
  id: string,
): { within(ms: number): Promise<void>; stop(): void } {
  let signal = () => {};
  const seen = new Promise<void>((resolve) => {
    signal = resolve;
  });
  const stop = engine.onRunEnd(id, signal);
  return {
    stop,
    async within(ms) {
      const disarm = engine.clock.setTimer(ms, signal);
      await seen;
      disarm();
    },
  };
}

function timedOut(id: string, timeoutMs: number): RunError {
  return new RunError(
    "RUN_WAIT_TIMEOUT",
    `Run ${id} did not end within ${timeoutMs} ms. It goes on; client.explainRun("${id}") tells why it is not moving.`,
  );
}
