import type { Duration } from "../core/duration.js";
import type { SendEvent } from "../core/event.js";
import type { InvokeOptions } from "../core/io.js";
import type { AnyJob, Job } from "../core/job.js";
import type { Run, TaskView } from "../core/run.js";
import type { FinalStatus } from "../core/run-status.js";
import { checkTestJob } from "./check-options.js";
import type { Mocks } from "./mocks.js";
import type { TestAuth } from "./test-auth.js";
import { TestRun } from "./test-run.js";
import type { CrashPoint } from "./with-crash.js";

/** An event to send in the course of a test. */
export type TestEvent = SendEvent & {
  /** How long after the beginning it is sent, in the test's time. Default: at the beginning. */
  readonly after?: Duration;
};

export interface TestJobOptions<Input = unknown> {
  /** Starts the run by `invoke`. Left out, the first of `events` that the job hears starts it. */
  readonly payload?: Input;
  /** Options of that `invoke`. */
  readonly invoke?: InvokeOptions;
  /**
   * What tasks give in place of what their callbacks would: a value, or a
   * function `(task, io) => value` that may throw. Keyed by path as `tasks`
   * shows it: `"charge"`, `"outer/inner"`, `'["send",1]'`. Attempts, retries
   * and records stay real. Also for `random`, `now`, `uuid`, `invoke`,
   * `invokeAndWait` (the child's output) and `sendEvent`.
   */
  readonly mocks?: Mocks;
  /**
   * Credentials, by id of the integration: what an auth resolver gives, or the
   * resolver itself, which is asked as that of `client.defineAuthResolver` is.
   * Hosted integrations need some, also if all of their tasks are mocked.
   */
  readonly auth?: TestAuth;
  readonly events?: readonly TestEvent[];
  /** Other jobs that take part: children, and jobs that hear its events. */
  readonly jobs?: readonly AnyJob[];
  /**
   * "every-task": the process is killed after each record of a task, and the
   * next one replays the run so far. Finds code outside of tasks that is not
   * the same each time.
   */
  readonly replay?: "every-task";
  /** Kills the process once, at this commit; another one goes on. */
  readonly crash?: CrashPoint;
  /** Wall time at the beginning. Default 2026-01-01T00:00:00Z. */
  readonly start?: Date | number;
}

export interface TestLogLine {
  readonly level: string;
  readonly message: string;
  readonly data?: unknown;
  /** Path of the task that wrote it; "" for the run itself. */
  readonly path: string;
  readonly at: Date;
}

export interface TestResult<Output = unknown> {
  readonly run: Run<Output>;
  /** Of a COMPLETED run. */
  readonly output: Output | undefined;
  /** Why it ended badly. */
  readonly error: Error | undefined;
  readonly status: FinalStatus;
  readonly tasks: readonly TaskView[];
  readonly logs: readonly TestLogLine[];
  /** Commits that the run took: `crash` may be tried at each of them. */
  readonly commits: number;
  /** Processes that were killed on the way. */
  readonly crashes: number;
}

/**
 * Executes a job for real, on the memory adapter and a fake clock: waits,
 * delays and retries of any length pass at once. Resolves with the run's final
 * state, whatever it is, after its hooks have run.
 *
 * Callbacks of tasks that are not mocked are called, and waited for in real
 * time. Works in any test runner.
 *
 * @example
 * const { status, output, tasks } = await testJob(welcome, {
 *   payload: { userId: "u1", email: "a@b.co" },
 *   mocks: { "create-account": { id: "acc_1" }, "send-mail": () => undefined },
 *   replay: "every-task",
 * });
 * assert.deepEqual(output, { accountId: "acc_1" });
 * @throws PayloadError PAYLOAD_INVALID if the payload does not fit;
 *   RunError RUN_WAIT_TIMEOUT if the run waits for what will never come;
 *   the error of a run that is blocked, such as NON_DETERMINISM;
 *   ConfigError OPTION_UNKNOWN, OPTION_INVALID
 */
export async function testJob<Input, Payload, Output>(
  job: Job<Input, Payload, Output>,
  options: TestJobOptions<Input> = {},
): Promise<TestResult<Output>> {
  checkTestJob(job, options as TestJobOptions<never>);
  const test = new TestRun(job, options);
  try {
    return (await test.result()) as TestResult<Output>;
  } finally {
    await test.close();
  }
}
