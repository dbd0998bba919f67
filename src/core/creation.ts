import type { CreatedRun, CreateElement, CreateResult, NewRun, RunRecord } from "./storage.js";
import { leaseAtCreation, newStoredRun, type StoredRun } from "./stored-run.js";

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
}

/** Which runs an element of `createRuns` makes, and what it is answered. */
export function planCreation(
  element: CreateElement,
  known: KnownOfCreation,
  now: number,
): CreationPlan {
  const { createId, groups, expect = [] } = element;
  const isRepeat = groups.some(({ first }) => known.holder(first)?.createId === createId);
  if (!isRepeat && expect.some(({ key, version }) => known.versionOf(key) !== version))
    return { answer: { result: "conflict" }, runs: [] };
  const making = new Making(createId, known, now);
  const made = groups.map((group) => {
    const first = making.run(group.first);
    const further = first.created ? group.further?.map((run) => making.run(run)) : undefined;
    return { first, further: further ?? [] };
  });
  return { answer: { result: "ok", groups: made }, runs: making.runs };
}

/** One element. What it made before is answered as made again, each run once. */
class Making {
  readonly runs: StoredRun[] = [];
  readonly #createId: string;
  readonly #known: KnownOfCreation;
  readonly #now: number;
  /** By id and by key. */
  readonly #made = new Map<string, StoredRun>();
  readonly #answered = new Set<string>();

  constructor(createId: string, known: KnownOfCreation, now: number) {
    this.#createId = createId;
    this.#known = known;
    this.#now = now;
  }

  run(given: NewRun): CreatedRun {
    const holder = this.#holder(given);
    const { id, fingerprint, createdAt } = (holder ?? this.#make(given)).run;
    const isOurs = holder === undefined || holder.createId === this.#createId;
    const created = isOurs && !this.#answered.has(id);
    this.#answered.add(id);
    const leaseUntil = created ? leaseAtCreation(given, createdAt) : null;
    return { id, created, fingerprint, createdAt, leaseUntil };
  }

  #holder(given: NewRun): Identity | undefined {
    const stored = this.#known.holder(given);
    if (this.#made.size === 0 || stored?.run.id === given.id) return stored;
    const byId = this.#made.get(given.id);
    const byKey = this.#made.get(keyName(given) ?? "");
    return holderOf(given, byId, byKey, this.#now) ?? stored;
  }

  #make(given: NewRun): StoredRun {
    const stored = newStoredRun(given, this.#createId, this.#now);
    this.runs.push(stored);
    this.#made.set(given.id, stored);
    const key = keyName(given);
    if (key !== null) this.#made.set(key, stored);
    return stored;
  }
}
