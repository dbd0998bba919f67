import { toErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import type { Ending } from "../core/final.js";
import { type FlowRule, rateOf, timesOf } from "../core/flow.js";
import {
  type DebounceState,
  debounced,
  type RateState,
  rateLimited,
  type ThrottleState,
  throttled,
  type Verdict,
} from "../core/flow-decisions.js";
import type { AnyJob } from "../core/job.js";
import type { RunRecord, ValueWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { finishRun } from "./finish-run.js";
import {
  type FlowState,
  flowKey,
  isOpen,
  type KnownFlow,
  readFlow,
  rulesAhead,
  type SingletonState,
} from "./flow-state.js";

/** What the rules of a job make of a run that would start now. */
export interface Gate {
  readonly state: FlowState;
  /** Hold together with the decision, or it is made again. */
  readonly values: readonly ValueWrite[];
  /** The run does not start: it waits (see `state`), or ends so. */
  readonly ending?: Ending;
}

/** One run under the rules that have not let it through yet, in their order. */
export class GateKeeper {
  readonly #engine: Engine;
  readonly #job: AnyJob;
  readonly #run: RunRecord;
  readonly #payload: unknown;
  readonly #now: number;
  readonly #values: ValueWrite[] = [];
  #state: FlowState;

  constructor(engine: Engine, job: AnyJob, run: RunRecord, payload: unknown, state: FlowState) {
    this.#engine = engine;
    this.#job = job;
    this.#run = run;
    this.#payload = payload;
    this.#state = state;
    this.#now = engine.storeClock.now();
  }

  async ask(): Promise<Gate> {
    for (const rule of rulesAhead(this.#job, this.#state)) {
      const key = flowKey(this.#job, rule, this.#payload);
      const ending = await this.#askOne(rule, key);
      if (ending !== undefined) return { state: this.#state, values: [], ending };
      if (this.#isToWait(rule)) break;
      const { wait: _, ...state } = this.#state;
      this.#state = { ...state, passed: [...state.passed, rule] };
    }
    return { state: this.#state, values: this.#values };
  }

  #isToWait(rule: FlowRule): boolean {
    const { wait } = this.#state;
    return wait !== undefined && wait.rule === rule && wait.until > this.#now;
  }

  async #askOne(rule: FlowRule, key: string): Promise<Ending | undefined> {
    const { debounce, rateLimit, singleton, throttle } = this.#job.options;
    const now = this.#now;
    if (rule === "debounce" && debounce !== undefined) {
      const known = await readFlow<DebounceState>(this.#engine, key);
      const { id, createdAt } = this.#run;
      const run = { id, createdAt, hasWaited: this.#state.wait?.rule === rule };
      return this.#take(rule, key, known, debounced(known.state, timesOf(debounce), now, run));
    }
    if (rule === "rateLimit" && rateLimit !== undefined) {
      const known = await readFlow<RateState>(this.#engine, key);
      return this.#take(rule, key, known, rateLimited(known.state, rateOf(rateLimit), now));
    }
    if (rule === "throttle" && throttle !== undefined) {
      const known = await readFlow<ThrottleState>(this.#engine, key);
      const turn = this.#state.wait?.rule === rule ? this.#state.wait.until : undefined;
      return this.#take(rule, key, known, throttled(known.state, rateOf(throttle), now, turn));
    }
    return singleton === undefined ? undefined : this.#askSingleton(key, singleton.mode);
  }

  #take<State>(
    rule: FlowRule,
    key: string,
    { version }: KnownFlow<State>,
    verdict: Verdict<State>,
  ): Ending | undefined {
    if (verdict.kind === "superseded") return supersededBy(this.#run.id, verdict.by);
    if (verdict.kind === "drop") return canceled(rateLimitedError(this.#job, verdict.until));
    this.#keep(key, version, verdict.next);
    if (verdict.kind === "wait" && (rule === "debounce" || rule === "throttle"))
      this.#state = { ...this.#state, wait: { rule, until: verdict.until } };
    return undefined;
  }

  #keep(key: string, version: number, state: unknown): void {
    this.#values.push({ key, value: JSON.stringify(state), expected: version });
  }

  async #askSingleton(key: string, mode: "skip" | "replace" | "join"): Promise<Ending | undefined> {
    const engine = this.#engine;
    const { id } = this.#run;
    const { state, version } = await readFlow<SingletonState>(engine, key);
    if (state?.runId !== id) await finishReplaced(engine, state);
    const other = state?.runId === id ? state.replaces : state?.runId;
    if (other !== undefined && (await isOpen(engine, other))) {
      if (mode !== "replace") return canceled(skippedError(this.#job, other));
      if (await this.#isYounger(other)) return supersededBy(id, other);
      await finishRun(engine, other, () => supersededBy(other, id));
    }
    this.#keep(key, version, { runId: id });
    return undefined;
  }

  /** Of two that are claimed in the other order the one that was started later stays. */
  async #isYounger(other: string): Promise<boolean> {
    const run = await this.#engine.reader.read(other);
    return run !== undefined && run.createdAt > this.#run.createdAt;
  }
}

/** Whoever took a place may have died before it ended the run that had it. */
export async function finishReplaced(
  engine: Engine,
  state: SingletonState | undefined,
): Promise<void> {
  const { runId = "", replaces } = state ?? {};
  if (replaces !== undefined)
    await finishRun(engine, replaces, () => supersededBy(replaces, runId));
}

export function rateLimitedError(job: AnyJob, until: number): RunError {
  const { limit, period } = job.options.rateLimit ?? {};
  const at = new Date(until);
  return new RunError(
    "RATE_LIMITED",
    `Job "${job.id}" has had its ${limit} starts in ${JSON.stringify(period)}. The next one is possible at ${at.toISOString()}; start it again then, or raise rateLimit.`,
    { details: { retryAt: at } },
  );
}

export function skippedError(job: AnyJob, other: string): RunError {
  return new RunError(
    "RUN_SKIPPED",
    `Run ${other} of job "${job.id}" is open, and the job is a singleton. Start it again when that one has ended, or use mode "join" or "replace".`,
    { details: { runId: other } },
  );
}

export function supersededBy(id: string, by: string): Ending {
  return canceled(
    new RunError(
      "RUN_SUPERSEDED",
      `Run ${id} gave way to run ${by}, which was started later. Look at that one for the outcome.`,
      { details: { runId: by } },
    ),
  );
}

function canceled(error: RunError): Ending {
  return { status: "CANCELED", error: toErrorRecord(error) };
}
