import { storedTask } from "../../core/run-tables.js";
import type { CommitResult, NewRun, NewSignal, RunWrite } from "../../core/storage.js";
import { signalOfWatch } from "../../core/stored-data.js";
import { afterSignal, afterWrite, newStoredRun, type StoredRun } from "../../core/stored-run.js";
import { commitResult, commitVerdict, hasRecordsOnly } from "../../core/write-verdict.js";
import type { Context } from "./context.js";
import { Identities, storeNewRuns } from "./create.js";
import type { Session } from "./driver.js";
import { type EndWrite, isEndWrite, storeEnds } from "./end-writes.js";
import { LockedRuns } from "./locked-runs.js";
import { Logs } from "./logs.js";
import { RecordBatch } from "./record-batch.js";
import { isReplacingWrite, type ReplacingWrite, storeReplacements } from "./replaced-records.js";
import { Signals } from "./signals.js";
import { Tasks } from "./tasks.js";
import { Values } from "./values.js";

type Known = Map<RunWrite, CommitResult>;

/** Mostly task records and ends of runs, which have short ways; the rest goes the general one, at the same time. */
export async function commitElements(
  context: Context,
  writes: readonly RunWrite[],
): Promise<CommitResult[]> {
  const known: Known = new Map();
  const records = new RecordBatch(context);
  const replacing: ReplacingWrite[] = [];
  const ends: EndWrite[] = [];
  const others: RunWrite[] = [];
  const twice = metTwice(writes);
  for (const write of writes) {
    const isAlone = !twice.has(write.runId);
    if (isAlone && records.add(write)) continue;
    if (isAlone && isReplacingWrite(write)) replacing.push(write);
    else if (isAlone && isEndWrite(write)) ends.push(write);
    else others.push(write);
  }
  await all([
    records.store(known),
    storeReplacements(context, replacing, known),
    storeEnds(context, ends, known),
    generalWay(context, others, known),
  ]);
  if (known.size < writes.length) {
    const left = writes.filter((write) => !known.has(write));
    await generalWay(context, left, known);
  }
  return writes.map((write) => {
    const answer = known.get(write) ?? commitResult("busy");
    context.learnFrom(write, answer);
    return answer;
  });
}

/** The runs of which there is more than one write: the first decides about the second. */
function metTwice(writes: readonly RunWrite[]): ReadonlySet<string> {
  const once = new Set<string>();
  const twice = new Set<string>();
  for (const { runId } of writes) {
    if (once.has(runId)) twice.add(runId);
    else once.add(runId);
  }
  return twice;
}

/** Whoever repeats what failed must not meet the others still under way. */
async function all(ways: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(ways);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function generalWay(
  context: Context,
  writes: readonly RunWrite[],
  known: Known,
): Promise<void> {
  if (writes.length === 0) return;
  await context.driver.transaction(async (session) => {
    const batch = await CommitBatch.of(context, session, writes);
    for (const write of writes) known.set(write, batch.commit(write));
    await batch.store();
    context.tell(session, batch.hint());
  });
}

interface Parts {
  readonly values: Values;
  readonly runs: LockedRuns;
  readonly tasks: Tasks;
  readonly signals: Signals;
  readonly identities: Identities;
  readonly now: number;
}

class CommitBatch {
  readonly #context: Context;
  readonly #session: Session;
  readonly #parts: Parts;
  readonly #made: StoredRun[] = [];
  readonly #logs = new Logs();

  private constructor(context: Context, session: Session, parts: Parts) {
    this.#context = context;
    this.#session = session;
    this.#parts = parts;
  }

  static async of(
    context: Context,
    session: Session,
    writes: readonly RunWrite[],
  ): Promise<CommitBatch> {
    const keys = writes.flatMap((write) => write.values?.map(({ key }) => key) ?? []);
    const values = await Values.of(context, session, { written: keys });
    const runs = await LockedRuns.of(context, session, writes.flatMap(touchedBy));
    const rows = writes.flatMap((write) => {
      const row = runs.row(write.runId);
      return row === undefined ? [] : [{ rk: row.rk, epoch: row.stored.run.epoch, write }];
    });
    const tasks = await Tasks.of(context, session, rows);
    const signals = await Signals.of(context, session, writes, runs);
    const children = writes.flatMap((write) => write.runs ?? []);
    const identities = await Identities.of(context, session, children);
    const now = await instantFor(context, session, writes, runs);
    const parts = { values, runs, tasks, signals, identities, now };
    return new CommitBatch(context, session, parts);
  }

  commit(write: RunWrite): CommitResult {
    const { runs, tasks, values } = this.#parts;
    // Somebody has one of the rows at this moment.
    if (touchedBy(write).some((id) => runs.isBusy(id))) return commitResult("busy");
    const row = runs.row(write.runId);
    if (row === undefined) return commitResult("missing");
    const known = { tasks: tasks.of(row.rk), values };
    return commitVerdict(write, row.stored, known) ?? this.#apply(row.rk, write);
  }

  #apply(rk: string, write: RunWrite): CommitResult {
    const { runs, tasks, signals, values, now } = this.#parts;
    for (const task of write.tasks ?? []) tasks.put(rk, storedTask(task, write.writeId));
    const signalsRead = signals.markRead(rk, write.signalsRead ?? []);
    const { stored, leaseRefused } = afterWrite(runs.stored(write.runId), write, signalsRead, now);
    if (!hasRecordsOnly(write)) runs.change(write.runId, stored);
    // An outsider's lines go with the epoch that it raised, lest they be taken for the holder's.
    this.#logs.add(rk, write.guard.epoch ?? stored.run.epoch, write.logs ?? []);
    for (const value of write.values ?? []) values.write(value);
    for (const run of write.runs ?? []) this.#make(run);
    for (const signal of write.signals ?? []) this.#send(signal);
    for (const watch of write.watches ?? [])
      this.#send(signalOfWatch(write.runId, watch, runs.find(watch.targetId)?.run));
    const answer = commitResult("ok", runs.stored(write.runId).run);
    return leaseRefused ? { ...answer, leaseRefused } : answer;
  }

  #make(run: NewRun): void {
    const { identities, now } = this.#parts;
    if (identities.holder(run, now) !== undefined) return;
    const stored = newStoredRun(run, null, now);
    identities.add(stored);
    this.#made.push(stored);
    this.#parts.runs.add(stored);
  }

  #send({ runId, ...signal }: NewSignal): void {
    const { runs, signals, now } = this.#parts;
    const stored = runs.find(runId);
    if (stored === undefined || !signals.add(runId, signal)) return;
    runs.change(runId, afterSignal(stored, signal.topic, now));
  }

  hint(): number | undefined {
    const { runs, now } = this.#parts;
    return runs.hint(now);
  }

  /** Children come first: signals may be for them. */
  async store(): Promise<void> {
    const { runs, tasks, signals, values, identities } = this.#parts;
    const made = this.#made.map(({ run }) => runs.stored(run.id));
    await storeNewRuns(this.#context, this.#session, made, identities);
    await runs.store(this.#context, this.#session);
    await tasks.store(this.#context, this.#session);
    await signals.store(this.#context, this.#session);
    await this.#logs.store(this.#context, this.#session);
    await values.store(this.#context, this.#session);
  }
}

/**
 * A lease with a slot that has run out is not extended (contract S2). A claim counts the slots under its lock: either
 * it has counted, and this comes later and sees that the lease is over, or it waits and counts the longer lease.
 * It waits for no row, so it may be waited for with rows in hand.
 */
async function instantFor(
  context: Context,
  session: Session,
  writes: readonly RunWrite[],
  runs: LockedRuns,
): Promise<number> {
  const keepsSlot = writes.some(
    ({ runId, leaseUntil }) =>
      leaseUntil !== undefined && (runs.row(runId)?.stored.run.limitKeys.length ?? 0) > 0,
  );
  if (!keepsSlot) return context.clock.atLeast(session);
  await context.lock(session, ["claims"], "shared");
  return context.clock.now(session);
}

/** Every run whose row an element may change, its own first. */
function touchedBy({ runId, signals = [], watches = [] }: RunWrite): string[] {
  return [
    runId,
    ...signals.map((signal) => signal.runId),
    ...watches.map((watch) => watch.targetId),
  ];
}
