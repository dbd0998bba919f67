import type { RunError } from "../core/errors.js";
import { rateOf } from "../core/flow.js";
import { type RateState, rateLimited } from "../core/flow-decisions.js";
import type { AnyJob } from "../core/job.js";
import type { CreatedRun, NewRun, ValueWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { rateLimitedError, skippedError } from "./flow-endings.js";
import { endReplaced } from "./flow-replace.js";
import {
  type FlowState,
  flowKey,
  flowTurn,
  flowValue,
  openOthers,
  readFlow,
  type SingletonState,
} from "./flow-state.js";
import { createKeyedRun, tryCreate } from "./start-runs.js";

/** Whether an invoke can tell at once that a start is dropped. Under debounce only the last start counts. */
export function decidesAtOnce(job: AnyJob | undefined): job is AnyJob {
  if (job === undefined) return false;
  const { debounce, rateLimit, singleton } = job.options;
  return debounce === undefined && (rateLimit !== undefined || singleton !== undefined);
}

/**
 * Creates the run of an invoke under the rules of its job, or finds the one that
 * stands for it.
 * @throws RunError RATE_LIMITED, RUN_SKIPPED, IDEMPOTENCY_CONFLICT
 */
export async function createInvokedRun(engine: Engine, run: NewRun): Promise<CreatedRun> {
  const job = engine.jobs.get(run.jobId);
  if (!decidesAtOnce(job)) return createKeyedRun(engine, run);
  const { payload, admitted = null } = run;
  const decoded = await engine.admittedPayload({ payload, admitted });
  const turn = flowTurn(job, decoded);
  return engine.storeTurns.take(turn, () => createDecided(engine, job, run, decoded));
}

async function createDecided(
  engine: Engine,
  job: AnyJob,
  run: NewRun,
  payload: unknown,
): Promise<CreatedRun> {
  for (;;) {
    const start = await new Start(engine, job, run, payload).ask();
    if (start.instead !== undefined) {
      // A repeated invoke gets its run, whatever the rules say by now.
      const known = await tryCreate(engine, run, [neverHolds]);
      if (known !== undefined) return known;
      // A run that waited for itself would wait for ever.
      if (start.instead === run.parentId) throw skippedError(job, start.instead);
      if (typeof start.instead === "string") return standIn(engine, start.instead);
      throw start.instead;
    }
    const state: FlowState = { passed: start.passed, generation: 1 };
    const made = await tryCreate(engine, { ...run, state: JSON.stringify(state) }, start.values);
    if (made === undefined) continue;
    // Should this process die before, the first claim of the new run does it.
    if (made.created)
      for (const other of start.replaces) await endReplaced(engine, start.place, other, made.id);
    return made;
  }
}

/** No value has such a version. */
const neverHolds: ValueWrite = { key: "flow:", value: null, expected: -1 };

async function standIn(engine: Engine, id: string): Promise<CreatedRun> {
  const run = await engine.reader.read(id);
  const createdAt = run?.createdAt ?? 0;
  return { id, created: false, fingerprint: null, createdAt, leaseUntil: null };
}

/** What the rules say of one start, before there is a run. */
class Start {
  readonly passed: ("rateLimit" | "singleton")[] = [];
  readonly values: ValueWrite[] = [];
  /** The open run that it is given, or why there is none. */
  instead: string | RunError | undefined;
  replaces: readonly string[] = [];
  /** Key of the value that says who has the place. */
  place = "";
  readonly #engine: Engine;
  readonly #job: AnyJob;
  readonly #run: NewRun;
  readonly #payload: unknown;

  constructor(engine: Engine, job: AnyJob, run: NewRun, payload: unknown) {
    this.#engine = engine;
    this.#job = job;
    this.#run = run;
    this.#payload = payload;
  }

  async ask(): Promise<this> {
    await this.#askRate();
    if (this.instead === undefined) await this.#askSingleton();
    return this;
  }

  async #askRate(): Promise<void> {
    const { rateLimit } = this.#job.options;
    if (rateLimit === undefined) return;
    const key = flowKey(this.#job, "rateLimit", this.#payload);
    const { state, version } = await readFlow<RateState>(this.#engine, key);
    const now = this.#engine.storeClock.now();
    const verdict = rateLimited(state, rateOf(rateLimit), now);
    if (verdict.kind === "go") this.#pass("rateLimit", key, version, verdict.next);
    else if (verdict.kind === "drop") this.instead = rateLimitedError(this.#job, verdict.until);
  }

  async #askSingleton(): Promise<void> {
    const { singleton } = this.#job.options;
    if (singleton === undefined) return;
    const key = flowKey(this.#job, "singleton", this.#payload);
    const { state, version } = await readFlow<SingletonState>(this.#engine, key);
    const { id } = this.#run;
    const others = await openOthers(this.#engine, state, id);
    const [other] = others;
    if (other === undefined) this.#pass("singleton", key, version, { runId: id });
    else if (singleton.mode === "join") this.instead = other;
    else if (singleton.mode === "skip") this.instead = skippedError(this.#job, other);
    else {
      this.replaces = others;
      this.place = key;
      // It does not pass yet: its claim sees to it that the others have ended.
      this.values.push(flowValue(key, version, { runId: id, replaces: others }));
    }
  }

  #pass(rule: "rateLimit" | "singleton", key: string, version: number, state: unknown): void {
    this.passed.push(rule);
    this.values.push(flowValue(key, version, state));
  }
}
