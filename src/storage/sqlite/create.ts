import { hasMoved } from "../../core/creation.js";
import { leaseAtCreation } from "../../core/new-run.js";
import type {
  CreatedRun,
  CreateElement,
  CreateGroup,
  CreateResult,
  NewRun,
} from "../../core/storage.js";
import { Refusal, reasonOf } from "./failure.js";
import { RunInserter } from "./run-insert.js";
import { RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";
import type { ValueStore } from "./values.js";

interface KnownRun {
  readonly answer: CreatedRun;
  readonly createId: string | null;
}

interface CreatedGroup {
  readonly first: CreatedRun;
  readonly further: readonly CreatedRun[];
}

/** The second part is for runs that were purged. */
const selectById =
  "select id, create_id, fingerprint, created_at from pawl_runs where id = ? " +
  "union all select id, create_id, fingerprint, created_at from pawl_tombstones where id = ?";

const selectByKey =
  "select run_id, fingerprint, created_at from pawl_keys where job_id = ? and key = ? " +
  "and (expires_at is null or expires_at > ?) and (purged_until is null or purged_until > ?)";

/** Makes runs, each element whole or not at all. */
export class RunCreator {
  readonly #transaction: Transaction;
  readonly #values: ValueStore;
  readonly #inserter: RunInserter;

  constructor(transaction: Transaction, values: ValueStore) {
    this.#transaction = transaction;
    this.#values = values;
    this.#inserter = new RunInserter(transaction);
  }

  apply(element: CreateElement): CreateResult {
    const { createId, groups, expect = [], values = [] } = element;
    const [group] = groups;
    const compares = expect.length > 0 || values.length > 0;
    // A lone group needs no look beforehand: that its first run is there shows when it is inserted.
    if (group !== undefined && groups.length === 1 && !compares) {
      return { result: "ok", groups: [this.#group(group, createId, true)] };
    }
    if (groups.some(({ first }) => this.#byId(first.id)?.createId === createId)) {
      return { result: "ok", groups: this.#repeatedGroups(element) };
    }
    const moved = hasMoved(element, (key) => this.#values.versionOf(key));
    if (moved && !groups.every(({ first }) => this.#isThere(first))) return { result: "conflict" };
    const made = groups.map((each) => this.#group(each, createId, false));
    if (made.some(({ first }) => first.created))
      for (const value of values) this.#values.write(value);
    return { result: "ok", groups: made };
  }

  #isThere(run: NewRun): boolean {
    return this.#byId(run.id) !== undefined || this.#otherHolder(run) !== undefined;
  }

  refused(_element: CreateElement, cause: unknown): CreateResult {
    return { result: "rejected", reason: reasonOf(cause), cause };
  }

  /** For runs that another run makes; idempotent on the id. */
  createChild(run: NewRun): void {
    const inserted = this.#inserter.insert(run, null);
    if (inserted === undefined && this.#byId(run.id) === undefined) lacking(run);
  }

  /** `mayRepeat`: a run with this createId was made by an earlier call, not by a group before this one. */
  #group(
    { first: newFirst, further = [] }: CreateGroup,
    createId: string,
    mayRepeat: boolean,
  ): CreatedGroup {
    const first = this.#createOne(newFirst, createId, mayRepeat);
    if (!first.created) return { first, further: [] };
    return { first, further: further.map((run) => this.#createOne(run, createId, mayRepeat)) };
  }

  #createOne(run: NewRun, createId: string, mayRepeat: boolean): CreatedRun {
    const { id, jobId, idempotencyKey: key, fingerprint = null } = run;
    const holder = this.#otherHolder(run);
    const inserted = holder === undefined ? this.#inserter.insert(run, createId) : undefined;
    if (inserted === undefined) {
      return this.#presentRun(run, mayRepeat ? createId : undefined) ?? holder ?? lacking(run);
    }
    const { createdAt, leaseUntil } = inserted;
    if (key !== undefined && key !== null) {
      this.#transaction.database.run(
        "insert or replace into pawl_keys (job_id, key, run_id, fingerprint, created_at, expires_at) values (?, ?, ?, ?, ?, ?)",
        [jobId, key, id, fingerprint, createdAt, run.idempotencyExpiresAt ?? null],
      );
    }
    return { id, created: true, fingerprint, createdAt, leaseUntil };
  }

  /** The run that has the key now, if it is another one. */
  #otherHolder({ id, jobId, idempotencyKey: key }: NewRun): CreatedRun | undefined {
    if (key === undefined || key === null) return undefined;
    const holder = this.#byKey(jobId, key, this.#transaction.now);
    return holder?.id === id ? undefined : holder;
  }

  /** The same createId: the answer to the call that made it was lost. */
  #presentRun(run: NewRun, createId: string | undefined): CreatedRun | undefined {
    const known = this.#byId(run.id);
    return known?.createId === createId && known !== undefined ? asMade(known, run) : known?.answer;
  }

  #byId(id: string): KnownRun | undefined {
    const row = this.#transaction.database.get(selectById, [id, id]);
    if (row === undefined) return undefined;
    const read = new RowReader(row);
    const runId = read.string();
    const createId = read.stringOrNull();
    const found = { id: runId, created: false, fingerprint: read.stringOrNull() };
    return { createId, answer: { ...found, createdAt: read.number(), leaseUntil: null } };
  }

  #byKey(jobId: string, key: string, now: number): CreatedRun | undefined {
    const row = this.#transaction.database.get(selectByKey, [jobId, key, now, now]);
    if (row === undefined) return undefined;
    const read = new RowReader(row);
    const found = { id: read.string(), created: false, fingerprint: read.stringOrNull() };
    return { ...found, createdAt: read.number(), leaseUntil: null };
  }

  /** As at first: what the element made then is answered as made, each run once, and nothing is made. */
  #repeatedGroups({ createId, groups }: CreateElement): CreatedGroup[] {
    const answered = new Set<string>();
    const again = (run: NewRun): CreatedRun => {
      const known = this.#byId(run.id);
      const keyed =
        known === undefined ? this.#byKey(run.jobId, run.idempotencyKey ?? "", 0) : undefined;
      const made = known?.createId === createId && !answered.has(run.id);
      answered.add(run.id);
      return made ? asMade(known, run) : (known?.answer ?? keyed ?? missing(run));
    };
    return groups.map(({ first: newFirst, further = [] }) => {
      const first = again(newFirst);
      return { first, further: first.created ? further.map(again) : [] };
    });
  }
}

/** A column that must have a value has none: nothing was inserted, though nothing was in the way. */
function lacking(run: NewRun): never {
  throw new Refusal(`Run ${run.id} lacks a value.`);
}

/** The lease is the one that was given, whatever became of it. */
function asMade({ answer }: KnownRun, run: NewRun): CreatedRun {
  return { ...answer, created: true, leaseUntil: leaseAtCreation(run, answer.createdAt) };
}

/** Made long ago, ended, purged and forgotten. */
function missing(run: NewRun): CreatedRun {
  return {
    id: run.id,
    created: false,
    fingerprint: run.fingerprint ?? null,
    createdAt: 0,
    leaseUntil: null,
  };
}
