import type {
  CreatedRun,
  CreateElement,
  CreateGroup,
  CreateResult,
  NewRun,
} from "../../core/storage.js";
import { insertRun } from "./run-insert.js";
import { RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";
import type { ValueStore } from "./values.js";

interface KnownRun {
  readonly answer: CreatedRun;
  readonly createId: string | null;
}

const selectRun =
  "select id, create_id, fingerprint, created_at, case when epoch = 1 then lease_until end from pawl_runs where id = ?";
const selectTombstone =
  "select id, create_id, fingerprint, created_at, null from pawl_tombstones where id = ?";
const selectKey =
  "select run_id, fingerprint, created_at from pawl_keys where job_id = ? and key = ? " +
  "and (expires_at is null or expires_at > ?) and (purged_until is null or purged_until > ?)";

/** Makes runs, each element whole or not at all. */
export class RunCreator {
  readonly #transaction: Transaction;
  readonly #values: ValueStore;

  constructor(transaction: Transaction, values: ValueStore) {
    this.#transaction = transaction;
    this.#values = values;
  }

  create(element: CreateElement): CreateResult {
    const repeated = this.#answerOfRepeat(element);
    if (repeated !== undefined) return repeated;
    for (const { key, version } of element.expect ?? []) {
      if (this.#values.versionOf(key) !== version) return { result: "conflict" };
    }
    const now = this.#creationTime();
    return {
      result: "ok",
      groups: element.groups.map((group) => this.#group(group, element.createId, now)),
    };
  }

  /** For runs that another run makes; idempotent on the id. */
  createChild(run: NewRun): void {
    if (this.#byId(run.id) === undefined)
      insertRun(this.#transaction, run, null, this.#creationTime());
  }

  /**
   * Newest first is by row number, so creation instants must rise with it,
   * also when the processes' wall clocks differ.
   */
  #creationTime(): number {
    const { database, now } = this.#transaction;
    const latest = database.get("select created_at from pawl_runs order by rk desc limit 1")?.[0];
    return typeof latest === "number" ? Math.max(latest, now) : now;
  }

  #group(
    group: CreateGroup,
    createId: string,
    now: number,
  ): { first: CreatedRun; further: CreatedRun[] } {
    const first = this.#createOne(group.first, createId, now);
    if (!first.created) return { first, further: [] };
    return {
      first,
      further: (group.further ?? []).map((run) => this.#createOne(run, createId, now)),
    };
  }

  #createOne(run: NewRun, createId: string, now: number): CreatedRun {
    const known = this.#byId(run.id)?.answer ?? this.#byKey(run, now);
    if (known !== undefined) return known;
    const inserted = insertRun(this.#transaction, run, createId, now);
    const { idempotencyKey: key, fingerprint = null } = run;
    if (key !== undefined && key !== null) {
      this.#transaction.database.run(
        "insert or replace into pawl_keys (job_id, key, run_id, fingerprint, created_at, expires_at) values (?, ?, ?, ?, ?, ?)",
        [run.jobId, key, run.id, fingerprint, now, run.idempotencyExpiresAt ?? null],
      );
    }
    return {
      id: run.id,
      created: true,
      fingerprint,
      createdAt: now,
      leaseUntil: inserted?.leaseUntil ?? null,
    };
  }

  #byId(id: string): KnownRun | undefined {
    const { database } = this.#transaction;
    const row = database.get(selectRun, [id]) ?? database.get(selectTombstone, [id]);
    if (row === undefined) return undefined;
    const read = new RowReader(row);
    const runId = read.string();
    const createId = read.stringOrNull();
    const fingerprint = read.stringOrNull();
    const createdAt = read.number();
    const answer = { id: runId, created: false, fingerprint, createdAt, leaseUntil: null };
    return { createId, answer: { ...answer, leaseUntil: read.numberOrNull() } };
  }

  #byKey(run: NewRun, now: number): CreatedRun | undefined {
    const { idempotencyKey: key } = run;
    if (key === undefined || key === null) return undefined;
    const row = this.#transaction.database.get(selectKey, [run.jobId, key, now, now]);
    if (row === undefined) return undefined;
    const read = new RowReader(row);
    return {
      id: read.string(),
      created: false,
      fingerprint: read.stringOrNull(),
      createdAt: read.number(),
      leaseUntil: null,
    };
  }

  /** Any run that this element made shows that it was there before. */
  #answerOfRepeat(element: CreateElement): CreateResult | undefined {
    const { createId, groups } = element;
    const firsts = groups.map(({ first }) => this.#byId(first.id));
    if (!firsts.some((known) => known?.createId === createId)) return undefined;
    const asAtFirst = (known: KnownRun | undefined, run: NewRun): CreatedRun => {
      if (known === undefined) return this.#byKey(run, 0) ?? missing(run);
      return known.createId === createId
        ? { ...known.answer, created: true }
        : { ...known.answer, leaseUntil: null };
    };
    return {
      result: "ok",
      groups: groups.map((group, index) => {
        const first = asAtFirst(firsts[index], group.first);
        const further = first.created ? (group.further ?? []) : [];
        return { first, further: further.map((run) => asAtFirst(this.#byId(run.id), run)) };
      }),
    };
  }
}

function missing(run: NewRun): CreatedRun {
  return {
    id: run.id,
    created: false,
    fingerprint: run.fingerprint ?? null,
    createdAt: 0,
    leaseUntil: null,
  };
}
