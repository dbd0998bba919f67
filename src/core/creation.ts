import { leaseAtCreation } from "./new-run.js";
import type {
  CreatedRun,
  CreateElement,
  CreateResult,
  NewRun,
  RunRecord,
  ValueWrite,
} from "./storage.js";
import { newStoredRun, type StoredRun } from "./stored-run.js";

/** Who has an id or an idempotency key: a run, or what is left of one that was purged. */
export interface Identity extends Pick<StoredRun, "createId" | "keyExpiresAt"> {
  readonly run: Pick<RunRecord, "id" | "jobId" | "idempotencyKey" | "fingerprint" | "createdAt">;
  /** Set on a tombstone: it counts until then. */
  readonly until?: number;
}

/** What stays of a run that is purged. */
export function tombstoneOf(stored: StoredRun, until: number): Identity {
  const { id, jobId, idempotencyKey, fingerprint, createdAt } = stored.run;
  const { createId, keyExpiresAt } = stored;
  const run = { id, jobId, idempotencyKey, fingerprint, createdAt };
  return { run, createId, keyExpiresAt, until };
}

/** The name under which an adapter remembers who has an idempotency key; null without one. It is no run's id. */
export function keyName(run: Pick<NewRun, "jobId" | "idempotencyKey">): string | null {
  const { jobId, idempotencyKey } = run;
  return typeof idempotencyKey === "string" ? `${jobId}\u0000${idempotencyKey}` : null;
}

/** Who makes a new run unnecessary, of those who are known under its id and under its key. */
export function holderOf(
  run: NewRun,
  byId: Identity | undefined,
  byKey: Identity | undefined,
  now: number,
): Identity | undefined {
  if (byId !== undefined && isThere(byId, now)) return byId;
  if (byKey === undefined || !isThere(byKey, now) || keyName(byKey.run) !== keyName(run))
    return undefined;
  return byKey.keyExpiresAt === null || byKey.keyExpiresAt > now ? byKey : undefined;
}

function isThere({ until }: Identity, now: number): boolean {
  return until === undefined || until > now;
}

/** What decides about an element of `createRuns`. */
export interface KnownOfCreation {
  /** See `holderOf`. */
  holder(run: NewRun): Identity | undefined;
  /** Of a value; 0 if there is none. */
  versionOf(key: string): number;
}

export interface CreationPlan {
  readonly answer: CreateResult;
  /** To be stored, all or none. */
  readonly runs: readonly StoredRun[];
  /** To be written with them. */
  readonly values: readonly ValueWrite[];
}

/** Which runs an element of `createRuns` makes, and what it is answered. */
export function planCreation(
  element: CreateElement,
  known: KnownOfCreation,
  now: number,
): CreationPlan {
  const { createId, groups, values = [] } = element;
  if (hasMoved(element, known.versionOf)) {
    const holders = groups.map(({ first }) => known.holder(first));
    const isRepeat = holders.some((holder) => holder?.createId === createId);
    const makesNothing = holders.every((holder) => holder !== undefined);
    if (!isRepeat && !makesNothing) return { answer: { result: "conflict" }, runs: [], values: [] };
  }
  const making = new Making(element, known, now);
  const made = groups.map(({ first: newFirst, further = [] }) => {
    const first = making.run(newFirst);
    return { first, further: first.created ? further.map((run) => making.run(run)) : [] };
  });
  const { runs } = making;
  return { answer: { result: "ok", groups: made }, runs, values: runs.length > 0 ? values : [] };
}

/** Whether a value that the element compares is not what it was decided from. */
export function hasMoved(
  { expect = [], values = [] }: CreateElement,
  versionOf: (key: string) => number,
): boolean {
  return (
    expect.some(({ key, version }) => versionOf(key) !== version) ||
    values.some(({ key, expected }) => expected !== undefined && versionOf(key) !== expected)
  );
}

/** One element. What it made before is answered as made again, each run once. */
class Making {
  readonly runs: StoredRun[] = [];
  readonly #createId: string;
  readonly #known: KnownOfCreation;
  readonly #now: number;
  /** What an element of one run, as nearly all are, need not remember. */
  readonly #before: Before | undefined;

  constructor({ createId, groups }: CreateElement, known: KnownOfCreation, now: number) {
    this.#createId = createId;
    this.#known = known;
    this.#now = now;
    const isLone = groups.length === 1 && groups[0]?.further === undefined;
    this.#before = isLone ? undefined : { made: new Map(), answered: new Set() };
  }

  run(given: NewRun): CreatedRun {
    const holder = this.#holder(given);
    const { id, fingerprint, createdAt } = (holder ?? this.#make(given)).run;
    const isOurs = holder === undefined || holder.createId === this.#createId;
    const created = isOurs && this.#before?.answered.has(id) !== true;
    this.#before?.answered.add(id);
    const leaseUntil = created ? leaseAtCreation(given, createdAt) : null;
    return { id, created, fingerprint, createdAt, leaseUntil };
  }

  #holder(given: NewRun): Identity | undefined {
    const stored = this.#known.holder(given);
    if (this.#before === undefined || stored?.run.id === given.id) return stored;
    const { made } = this.#before;
    const byKey = made.get(keyName(given) ?? "");
    return holderOf(given, made.get(given.id), byKey, this.#now) ?? stored;
  }

  #make(given: NewRun): StoredRun {
    const stored = newStoredRun(given, this.#createId, this.#now);
    const key = keyName(given);
    this.runs.push(stored);
    this.#before?.made.set(given.id, stored);
    if (key !== null) this.#before?.made.set(key, stored);
    return stored;
  }
}

/** What the element has made, by id and by key, and the ids that it has answered. */
interface Before {
  readonly made: Map<string, StoredRun>;
  readonly answered: Set<string>;
}
