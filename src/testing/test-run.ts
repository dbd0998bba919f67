import { durationMs } from "../core/duration.js";
import { ConfigError, isPawlError, RunError } from "../core/errors.js";
import type { SendEvent } from "../core/event.js";
import type { AnyJob } from "../core/job.js";
import type { Run, RunHandle } from "../core/run.js";
import type { FinalStatus } from "../core/run-status.js";
import type { RunWrite } from "../core/storage.js";
import type { Client } from "../engine/client.js";
import { withMocks } from "./mocks.js";
import { assertAuth, defineAuth, type TestAuth } from "./test-auth.js";
import type { TestJobOptions, TestLogLine, TestResult } from "./test-job.js";
import type { TestProcess } from "./test-process.js";
import { TestWorld } from "./test-world.js";
import type { CrashPoint } from "./with-crash.js";

/** More would be a run that never ends. */
const MOST_STEPS = 1_000;
const LOG_PAGE = 1_000;

/** One run under test, through as many processes as it takes. */
export class TestRun extends TestWorld {
  readonly #jobs: readonly AnyJob[];
  readonly #options: TestJobOptions;
  readonly #jobId: string;
  #events: { readonly at: number; readonly event: SendEvent }[];
  #process: TestProcess;
  #runId: string | undefined;
  #commits = 0;
  #crashes = 0;

  constructor(job: AnyJob, options: TestJobOptions) {
    super(options.start === undefined ? {} : { start: options.start });
    this.#options = options;
    this.#jobId = job.id;
    this.#jobs = [withMocks(job, options.mocks ?? {}), ...(options.jobs ?? [])];
    assertAuth(this.#auth, this.#jobs);
    this.#events = (options.events ?? []).map(({ after = 0, ...event }) => ({
      at: this.clock.now() + durationMs(after, "after of an event"),
      event,
    }));
    this.#process = this.#startProcess();
  }

  async result(): Promise<TestResult> {
    await this.#start();
    for (let step = 0; ; step++) {
      await this.#execute();
      const ended = await this.#ended();
      if (ended !== undefined) return this.#resultOf(ended);
      if (step === MOST_STEPS) {
        throw await this.#stuck(`has not ended after ${MOST_STEPS} steps of time`);
      }
      await this.#passTime();
    }
  }

  get #auth(): TestAuth {
    const { auth = {} } = this.#options;
    return auth;
  }

  get #client(): Client {
    return this.#process.client;
  }

  /** A second process leaves nothing to the memory of the first: parked executions are not kept. */
  #startProcess(): TestProcess {
    const process = this.process({ jobs: this.#jobs, maxParked: this.#replays ? 0 : 1_000 }, (w) =>
      this.#crashAt(w),
    );
    defineAuth(process.client, this.#auth);
    // How it ends is a result here, not news for stderr.
    process.client.on("runFailed", () => {});
    process.client.on("runBlocked", () => {});
    return process;
  }

  get #replays(): boolean {
    return this.#options.replay === "every-task";
  }

  #crashAt(writes: readonly RunWrite[]): CrashPoint["when"] | undefined {
    const { crash } = this.#options;
    this.#commits++;
    if (crash?.commit === this.#commits) return crash.when;
    const records = writes.some(
      ({ runId, tasks = [] }) =>
        runId === this.#runId && tasks.some(({ status }) => isDone(status)),
    );
    return this.#replays && records ? "after" : undefined;
  }

  async #start(): Promise<void> {
    const { payload, invoke } = this.#options;
    if ("payload" in this.#options || this.#events.length === 0) {
      this.#runId = (await this.#client.invoke(this.#jobId, payload, invoke)).id;
    }
    await this.#sendDueEvents();
  }

  /** What is due now, also if processes die over it. */
  async #execute(): Promise<void> {
    do {
      if (this.#process.isDead) {
        this.#crashes++;
        this.#process = this.#startProcess();
      }
      await this.drain();
    } while (this.#process.isDead);
  }

  async #sendDueEvents(): Promise<void> {
    const now = this.clock.now();
    const due = this.#events.filter(({ at }) => at <= now);
    this.#events = this.#events.filter(({ at }) => at > now);
    for (const { event } of due) {
      const { runIds } = await this.#client.sendEvent(event);
      this.#runId ??= await this.#ofTestedJob(runIds);
    }
  }

  async #ofTestedJob(runIds: readonly string[]): Promise<string | undefined> {
    for (const id of runIds) {
      if ((await this.#client.getRun(id))?.jobId === this.#jobId) return id;
    }
    return undefined;
  }

  /** On to the next instant at which something is due or an event is to be sent. */
  async #passTime(): Promise<void> {
    const now = this.clock.now();
    const steps = this.#events.map(({ at }) => at - now);
    const next = Math.min(...steps, this.untilNextDueMs ?? Number.POSITIVE_INFINITY);
    if (next === Number.POSITIVE_INFINITY) throw await this.#stuck("waits for what never comes");
    this.clock.advance({ milliseconds: next });
    await this.#sendDueEvents();
  }

  /** The error of a blocked run is thrown from here. */
  async #ended(): Promise<Run | undefined> {
    if (this.#runId === undefined) return undefined;
    try {
      return await this.#client.waitForRun(this.#runId, { timeout: 0 });
    } catch (error) {
      if (isPawlError(error, "RUN_WAIT_TIMEOUT")) return undefined;
      throw error;
    }
  }

  async #stuck(how: string): Promise<Error> {
    if (this.#runId === undefined) {
      return new ConfigError(
        "OPTION_INVALID",
        `testJob got no payload, and none of its events starts job "${this.#jobId}". Pass a payload, or an event that its trigger hears.`,
      );
    }
    const why = await this.#client.explainRun(this.#runId);
    return new RunError("RUN_WAIT_TIMEOUT", `The run under test ${how}. ${why}`);
  }

  async #resultOf(run: Run): Promise<TestResult> {
    const handle: RunHandle = { id: run.id };
    const { tasks = [] } = (await this.#client.getRun(handle, { taskDetails: true })) ?? {};
    return {
      run,
      output: run.output,
      error: run.error,
      status: run.status as FinalStatus,
      tasks,
      logs: await this.#logs(run.id),
      commits: this.#commits,
      crashes: this.#crashes,
    };
  }

  async #logs(runId: string): Promise<TestLogLine[]> {
    const storage = this.storage();
    await storage.init({ clock: this.clock });
    const lines: TestLogLine[] = [];
    for (let after = 0; ; ) {
      const page = await storage.listLogs(runId, { after, limit: LOG_PAGE });
      for (const { level, message, data, path, at } of page) {
        const known = data === null ? undefined : { data: JSON.parse(data) as unknown };
        lines.push({ level, message, path, at: new Date(at), ...known });
      }
      const last = page.at(-1);
      if (last === undefined || page.length < LOG_PAGE) return lines;
      after = last.position;
    }
  }
}

function isDone(status: string): boolean {
  return status === "COMPLETED" || status === "FAILED";
}
