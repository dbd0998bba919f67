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
import { canceled, rateLimitedError, skippedError, supersededBy } from "./flow-endings.js";
import { endReplaced } from "./flow-replace.js";
import {
  type FlowState,
  flowKey,
  flowValue,
  type KnownFlow,
  openOthers,
  readFlow,
  rulesAhead,
  type SingletonState,
} from "./flow-state.js";
import { decodeMeta } from "./run-meta.js";

/** What the rules of a job make of a run that would start now. */
export interface Gate {
  readonly state: FlowState;
  /** Hold together with the decision, or it is made again. */
  readonly values: readonly ValueWrite[];
  /** The run does not start: it waits (see `state`), or ends so, in one write with the rest. */
  readonly ending?: Ending;
  /** Nothing is decided yet: ask again, once the values are written. */
  readonly isOpen?: boolean;
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
  /**
   * A burst is over with the start that debounce lets go, also if a later rule
   * drops that. For a rate only what starts counts.
   */
  #ifDropped: Pick<Gate, "state" | "values">;
  /** What must be written before the rule can be asked again. */
  #first: readonly ValueWrite[] | undefined;

  constructor(engine: Engine, job: AnyJob, run: RunRecord, payload: unknown, state: FlowState) {
    this.#engine = engine;
    this.#job = job;
    this.#run = run;
    this.#payload = payload;
    this.#state = state;
    this.#ifDropped = { state, values: [] };
    this.#now = engine.storeClock.now();
  }

  async ask(): Promise<Gate> {
    for (const rule of rulesAhead(this.#job, this.#state)) {
      // Claimed before its turn, as after a retry: the turn stays.
      if (this.#isToWait(rule)) break;
      const key = flowKey(this.#job, rule, this.#payload);
      const ending = await this.#askOne(rule, key);
      if (ending !== undefined) return { ...this.#ifDropped, ending };
      if (this.#first !== undefined)
        return { state: this.#state, values: this.#first, isOpen: true };
      if (this.#isToWait(rule)) break;
      const { wait: _, ...state } = this.#state;
      this.#state = { ...state, passed: [...state.passed, rule] };
      if (rule === "debounce") this.#ifDropped = { state: this.#state, values: [...this.#values] };
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
      const deadline = decodeMeta(this.#run.meta).expiresAt;
      const turn = this.#state.wait?.rule === rule ? this.#state.wait.until : undefined;
      return this.#take(
        rule,
        key,
        known,
        throttled(known.state, rateOf(throttle), now, turn, deadline),
      );
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
      this.#state = { ...this.#state, wait: { rule, until: verdict.until, key } };
    return undefined;
  }

  #keep(key: string, version: number, state: unknown): void {
    this.#values.push(flowValue(key, version, state));
  }

  async #askSingleton(key: string, mode: "skip" | "replace" | "join"): Promise<Ending | undefined> {
    const { id } = this.#run;
    const { state, version } = await readFlow<SingletonState>(this.#engine, key);
    const others = await openOthers(this.#engine, state, id);
    for (const other of others) {
      if (mode !== "replace") return canceled(skippedError(this.#job, other));
      if (await this.#givesWay(state, other)) return supersededBy(id, other);
    }
    if (others.length === 0) this.#keep(key, version, { runId: id });
    else if (state?.runId === id) await this.#endAll(key, others);
    else this.#first = [flowValue(key, version, { runId: id, replaces: others })];
    return undefined;
  }

  /** It has the place already; whoever had it before must be over first. */
  async #endAll(key: string, others: readonly string[]): Promise<void> {
    for (const other of others) await endReplaced(this.#engine, key, other, this.#run.id);
    this.#first = [];
  }

  /**
   * Of two that are claimed in the other order the one that was started later
   * stays. Invokes have said which that is; never must both give way.
   */
  async #givesWay(state: SingletonState | undefined, other: string): Promise<boolean> {
    const { id, createdAt } = this.#run;
    if (state?.runId === id) return false;
    if (state?.runId === other && state.replaces?.includes(id) === true) return true;
    const run = await this.#engine.reader.read(other);
    return run !== undefined && run.createdAt > createdAt;
  }
}
