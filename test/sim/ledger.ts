import type { Machine } from "./machine.js";
import type { StoredTask, StoreView } from "./store-view.js";
import { Violation } from "./violation.js";

const ROUNDING_MS = 2;

/** One call of a job's `run`. */
export interface Execution {
  readonly number: number;
  readonly runId: string;
  readonly generation: number;
  readonly executionCount: number;
  readonly machine: Machine;
  readonly settled: Settled[];
  /** Waits that were over before that was recorded. */
  readonly passed: PassedWait[];
}

interface PassedWait {
  readonly place: CallPlace;
  readonly turn: number;
}

interface Settled {
  readonly seq: number;
  readonly turn: number;
  readonly path: string;
  readonly tag: string;
}

interface Start {
  readonly execution: Execution;
  readonly at: number;
}

export interface CallPlace {
  readonly execution: Execution;
  readonly path: string;
  /** Generation and attempts of the enclosing tasks. */
  readonly tag: string;
  /** It has a record of its own. */
  readonly isRecorded: boolean;
  readonly isWait: boolean;
  readonly calledInTurn: number;
}

/** What user code did and saw, kept outside of the library, and judged on the spot. */
export class Ledger {
  readonly #view: StoreView;
  readonly #now: () => number;
  readonly #turn: () => number;
  readonly #leaseMs: number;
  readonly #newest = new Map<string, Execution>();
  readonly #starts = new Map<string, Start>();
  readonly #seen = new Map<string, string>();
  readonly #keys = new Map<string, string>();
  /** `<hook> <run>` → calls. */
  readonly hooks = new Map<string, number>();
  readonly commands = new Map<string, number>();
  readonly repeats: string[] = [];
  /** Place in a run, or program of an event → the tags under which user code came by. */
  readonly #visits = new Map<string, Set<string>>();
  readonly poisonings = new Map<string, number>();
  /** Ids of tokens that no run made. */
  readonly tokens: string[] = [];
  executions = 0;
  starts = 0;

  constructor(view: StoreView, now: () => number, turn: () => number, leaseMs: number) {
    this.#view = view;
    this.#now = now;
    this.#turn = turn;
    this.#leaseMs = leaseMs;
  }

  executionBegins(
    runId: string,
    generation: number,
    executionCount: number,
    machine: Machine,
  ): Execution {
    const number = ++this.executions;
    const execution = {
      number,
      runId,
      generation,
      executionCount,
      machine,
      settled: [],
      passed: [],
    };
    this.#newest.set(runId, execution);
    return execution;
  }

  counts(op: string): void {
    this.commands.set(op, (this.commands.get(op) ?? 0) + 1);
  }

  visits(place: string, tag: string): void {
    const tags = this.#visits.get(place) ?? new Set();
    this.#visits.set(place, tags.add(tag));
  }

  /** So many effects may there be of this place: one for each generation and attempts around it. */
  mostEffects(place: string): number {
    return this.#visits.get(place)?.size ?? 0;
  }

  tokenFromOutside(): string | null {
    return this.tokens.at(-1) ?? null;
  }

  poisoned(runId: string): void {
    this.poisonings.set(runId, (this.poisonings.get(runId) ?? 0) + 1);
  }

  hookCalled(hook: string, runId: string): void {
    const name = `${hook} ${runId}`;
    this.hooks.set(name, (this.hooks.get(name) ?? 0) + 1);
    this.counts(`hook ${hook}`);
  }

  /** The callback of a task without io calls starts. Answers the number of this start. */
  taskStarts(
    execution: Execution,
    path: string,
    tag: string,
    attempt: number,
    { limit, isOnce }: { readonly limit: number; readonly isOnce: boolean },
  ): number {
    const { runId, machine } = execution;
    machine.note(`starts ${path} in ${execution.number}, attempt ${attempt}`);
    const where = `task ${path} of run ${runId} (attempt ${attempt}, machine ${machine.index})`;
    if (attempt > limit) throw new Violation("ATTEMPTS", `${where} has a limit of ${limit}`);
    if (this.#isHolder(execution) && this.#view.task(runId, path)?.status === "COMPLETED") {
      throw new Violation("G1", `${where} started after its record was committed`);
    }
    this.#judgeLease(execution, where);
    const name = `${runId} ${path} ${tag} ${attempt}`;
    const earlier = this.#starts.get(name);
    if (earlier !== undefined) this.#repeated(where, earlier, execution, isOnce);
    this.#starts.set(name, { execution, at: this.#now() });
    return ++this.starts;
  }

  /** A lease is over for its holder before another can have the run, but for the rounding of clocks. */
  #judgeLease({ runId, generation, executionCount }: Execution, where: string): void {
    const run = this.#view.run(runId);
    if (run === undefined || run.generation !== generation) return;
    const lostAt = this.#view.claimedAt.get(runId) ?? Number.POSITIVE_INFINITY;
    if (run.executionCount > executionCount && this.#now() > lostAt + ROUNDING_MS) {
      throw new Violation(
        "E3",
        `${where} started ${this.#now() - lostAt} ms after its lease was lost`,
      );
    }
  }

  #repeated(where: string, earlier: Start, execution: Execution, isOnce: boolean): void {
    if (isOnce) throw new Violation("G10", `${where} is at-most-once and started again`);
    if (earlier.execution === execution) {
      throw new Violation("G2", `${where} started twice in one execution`);
    }
    const since = earlier.at - this.#leaseMs;
    const { machine } = execution;
    const isDisturbed = (at: number) => at >= since;
    const excused =
      earlier.execution.machine.disturbedAt.some(isDisturbed) ||
      (!this.#isHolder(execution) && machine.disturbedAt.some(isDisturbed));
    if (!excused) {
      const before = earlier.execution.machine.index;
      throw new Violation("G2", `${where} started again; machine ${before} was never disturbed`);
    }
    this.repeats.push(where);
  }

  /** Its holder, and not one that was replaced without knowing yet. */
  #isHolder(execution: Execution): boolean {
    const run = this.#view.run(execution.runId);
    return (
      run !== undefined &&
      run.status === "EXECUTING" &&
      run.workerId === execution.machine.workerId &&
      run.executionCount === execution.executionCount &&
      this.#newest.get(execution.runId) === execution
    );
  }

  idempotencyKey(runId: string, path: string, key: string): void {
    const known = this.#keys.get(`${runId} ${path}`);
    if (known !== undefined && known !== key) {
      throw new Violation("G8", `the idempotency key of ${path} in run ${runId} changed`);
    }
    this.#keys.set(`${runId} ${path}`, key);
  }

  called(
    execution: Execution,
    path: string,
    tag: string,
    is: Pick<CallPlace, "isRecorded" | "isWait">,
  ): CallPlace {
    this.visits(`${execution.runId} ${path}`, tag);
    return { execution, path, tag, ...is, calledInTurn: this.#turn() };
  }

  /** User code sees a result. It must be on record, in the order of the records, and always the same. */
  saw(place: CallPlace, outcome: { readonly ok: string } | { readonly error: string }): void {
    const { execution, path, tag, isRecorded } = place;
    const isOk = "ok" in outcome;
    const where = `${path} of run ${execution.runId}`;
    const scope = isOk && isRecorded ? "" : tag;
    const name = `${execution.runId} ${path} ${scope} ${isRecorded ? isOk : ""}`;
    const text = isOk ? `ok ${outcome.ok}` : `error ${outcome.error}`;
    execution.machine.note(`sees ${path} in ${execution.number}: ${text.slice(0, 60)}`);
    if (isRecorded) this.#settledInOrder(place, isOk);
    const known = this.#seen.get(name);
    if (known === undefined) this.#seen.set(name, text);
    else if (known !== text) {
      throw new Violation("G5", `${where} was ${known} and is now ${text}`);
    }
  }

  #settledInOrder(place: CallPlace, isOk: boolean): void {
    const { execution, path } = place;
    const record = this.#view.task(execution.runId, path);
    this.#passedAreRecorded(execution);
    if (isOk && this.#isPassed(place, record)) {
      execution.passed.push({ place, turn: this.#turn() });
      return;
    }
    if (!isOk && (record?.status !== "FAILED" || !this.#isHolder(execution))) return;
    if (isOk) this.#assertRecorded(execution, path, record);
    if (record !== undefined) this.#settledAs(place, record.seq, this.#turn());
  }

  /** The record that a wait is over may come with the next one, or not at all to who is not the holder any more. */
  #isPassed({ execution, isWait }: CallPlace, record: StoredTask | undefined): boolean {
    if (!isWait || record?.status === "COMPLETED") return false;
    if (!this.#isHolder(execution)) return true;
    const { status, wakeAt } = record ?? {};
    return (
      status === "WAITING" && (wakeAt ?? Number.POSITIVE_INFINITY) <= this.#now() + ROUNDING_MS
    );
  }

  #passedAreRecorded(execution: Execution): void {
    if (!this.#isHolder(execution)) return;
    for (const { place, turn } of execution.passed.splice(0)) {
      const record = this.#view.task(execution.runId, place.path);
      this.#assertRecorded(execution, place.path, record);
      if (record !== undefined) this.#settledAs(place, record.seq, turn);
    }
  }

  #settledAs({ execution, path, tag, calledInTurn }: CallPlace, seq: number, turn: number): void {
    const { settled } = execution;
    for (let index = settled.length - 1; index >= 0; index--) {
      const other = settled[index];
      // In one turn a call may have come before or after what settled in it.
      if (other === undefined || other.turn <= calledInTurn) break;
      // What an abandoned attempt left open settles for nobody.
      const isRelated = other.tag.startsWith(tag) || tag.startsWith(other.tag);
      if (other.seq > seq && isRelated) {
        throw new Violation(
          "G6",
          `${other.path} (seq ${other.seq}) settled before ${path} (seq ${seq}) in run ${execution.runId}`,
        );
      }
    }
    settled.push({ seq, turn, path, tag });
  }

  #assertRecorded(execution: Execution, path: string, record: StoredTask | undefined): void {
    if (record?.status === "COMPLETED") return;
    throw new Violation(
      "G1",
      `${path} of run ${execution.runId} settled on machine ${execution.machine.index}, and its record is ${record?.status ?? "missing"}`,
    );
  }
}
