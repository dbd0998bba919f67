// A storage of one's own on plain files: durable, for any number of processes on one machine.
//
// The journal is a folder of numbered files, each with one call that changes something and its
// instant. A call is written to a file aside, which is then linked under the next number. That
// fails if another process took the number: then its call comes first, and ours tries the next.
// So no lock is needed, none is left behind by a crash, and no file is ever seen half written.
// Everybody carries out the same calls in the same order, and so comes to the same state.
//
// Left out: limits (S7), indexes, and snapshots that would let old files go. A new version of
// the code below must decide old calls as before, or begin with a new folder.
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import * as kit from "pawl/adapter-kit";

interface Row {
  readonly run: { -readonly [K in keyof kit.RunRecord]: kit.RunRecord[K] };
  readonly order: number;
  readonly createId: string | null;
  readonly keyUntil: number;
  wakeAt: number;
  wakeSignals: number;
  keep: boolean;
  writeId?: string;
  claim?: { readonly id: string; readonly kept: boolean };
  readonly tasks: Map<string, { readonly task: kit.TaskRecord; readonly writeId: string }>;
  /** Unread ones. Of those that were read, the id is remembered (S9). */
  readonly signals: Map<string, kit.Signal>;
  readonly signalIds: Set<string>;
  readonly logs: kit.StoredLogLine[];
  /** The run was purged, and this is its tombstone. */
  buriedUntil?: number;
}
type Holder = { readonly claimId: string; readonly workerId: string; readonly leaseMs: number };

const { NEVER, WATCH_TOPIC, isFinal } = kit;
const isOpen = ({ run }: Row) => !isFinal(run.status);
const isHeld = ({ run }: Row, now: number) => (run.leaseUntil ?? 0) > now;
const isInternal = ({ run }: Row) => run.jobId.startsWith("$");
const dueAt = ({ run }: Row) => run.dueAt ?? NEVER;
const earliest = (at: number[]) => at.reduce<number | null>((a, b) => Math.min(a ?? b, b), null);
const keyOf = (run: kit.NewRun) => JSON.stringify([run.jobId, run.idempotencyKey]);
/** A run with a limit key is only held by a claim. */
const leaseOf = ({ status, limitKeys = [], lease }: kit.NewRun) =>
  isFinal(status) || limitKeys.length > 0 ? undefined : lease;
const tasksOf = ({ tasks }: Row) =>
  [...tasks.values()].map(({ task }) => task).sort((a, b) => a.seq - b.seq);

/** S8: to be called after every change of what it depends on. */
function settle(row: Row, now: number): void {
  const calls = [...row.signals.values()].filter(({ topic }) => topic !== WATCH_TOPIC).length;
  const isCalled = row.wakeSignals > 0 && calls >= row.wakeSignals;
  const wakeAt = isCalled ? Math.min(row.wakeAt, now) : row.wakeAt;
  row.run.dueAt = isOpen(row) ? (row.run.leaseUntil ?? wakeAt) : null;
}

function hold(row: Row, { claimId, workerId, leaseMs }: Holder, now: number): void {
  const { run } = row;
  const highest = tasksOf(row).at(-1)?.seq ?? 0;
  if (run.leaseUntil !== null) run.stalls = highest > run.lastSeq ? 0 : run.stalls + 1;
  if (run.leaseUntil !== null) run.lastSeq = highest;
  row.claim = { id: claimId, kept: row.keep && run.workerId === workerId };
  row.keep = false;
  if (!row.claim.kept) run.executionCount += 1;
  const end = run.maxDurationMs === null ? null : now + run.maxDurationMs;
  if (run.startedAt === null) Object.assign(run, { startedAt: now, deadlineAt: end });
  const leaseUntil = now + leaseMs;
  Object.assign(run, { status: "EXECUTING", workerId, leaseUntil, epoch: run.epoch + 1 });
  settle(row, now);
}

function page(tasks: readonly kit.TaskRecord[], budget: number, atLeast: number) {
  let end = 0;
  for (let size = 0; end < tasks.length; end += 1) {
    size += JSON.stringify(tasks[end]).length;
    if (size > budget && end >= atLeast) break;
  }
  return { tasks: tasks.slice(0, end), complete: end === tasks.length };
}

class State {
  readonly #rows = new Map<string, Row>();
  readonly #byKey = new Map<string, Row>();
  /** A deleted value stays as null, so that no version ever comes again. */
  readonly values = new Map<string, { value: string | null; version: number }>();
  #created = 0;

  all = () => [...this.#rows.values()].filter((row) => row.buriedUntil === undefined);

  get(id: string): Row | undefined {
    const row = this.#rows.get(id);
    return row?.buriedUntil === undefined ? row : undefined;
  }

  /** Who makes a new run unnecessary: by its id, or by a key that has not expired. */
  #holder(run: kit.NewRun, now: number): Row | undefined {
    const byKey = run.idempotencyKey ? this.#byKey.get(keyOf(run)) : undefined;
    const holders = [this.#rows.get(run.id), byKey && byKey.keyUntil > now ? byKey : undefined];
    return holders.find((row) => row && (row.buriedUntil ?? NEVER) > now);
  }

  createRuns(elements: readonly kit.CreateElement[], now: number): kit.CreateResult[] {
    return elements.map(({ createId, groups, expect = [] }) => {
      const isRepeated = groups.some((g) => this.#holder(g.first, now)?.createId === createId);
      const hasMoved = expect.some(({ key, version }) => !this.#matches(key, version));
      if (hasMoved && !isRepeated) return { result: "conflict" };
      const answered = new Set<string>();
      const make = (run: kit.NewRun): kit.CreatedRun => {
        const known = this.#holder(run, now);
        const { id, fingerprint, createdAt } = (known ?? this.#insert(run, createId, now)).run;
        const isOurs = known === undefined || (isRepeated && known.createId === createId);
        const created = isOurs && !answered.has(id);
        answered.add(id);
        const lease = created ? leaseOf(run) : undefined;
        const leaseUntil = lease === undefined ? null : createdAt + lease.leaseMs;
        return { id, created, fingerprint, createdAt, leaseUntil };
      };
      const made = groups.map(({ first, further = [] }) => {
        const answer = make(first);
        return { first: answer, further: answer.created ? further.map(make) : [] };
      });
      return { result: "ok", groups: made };
    });
  }

  #insert(given: kit.NewRun, createId: string | null, now: number): Row {
    const { wakeAt, lease: _, idempotencyExpiresAt, ...columns } = given;
    const lease = leaseOf(given);
    const isOver = isFinal(columns.status);
    const run: Row["run"] = {
      ...{ epoch: 0, generation: 1, priority: 0, executionCount: 0, stalls: 0, lastSeq: 0 },
      ...{ workerId: null, leaseUntil: null, dueAt: null, deadlineAt: null, maxDurationMs: null },
      ...{ admitted: null, output: null, error: null, blocked: null, meta: null, state: null },
      ...{ eventId: null, parentId: null, parentPath: null, idempotencyKey: null, inbox: 0 },
      ...{ limitKeys: [], tags: [], isTest: false, fingerprint: null, startedAt: null },
      createdAt: now,
      ...columns,
      ...(isOver ? { finishedAt: now, deadlineAt: null } : { finishedAt: null }),
    };
    this.#created += 1;
    const row: Row = {
      ...{ run, createId, order: this.#created, keyUntil: idempotencyExpiresAt ?? NEVER },
      ...{ wakeAt: wakeAt ?? NEVER, wakeSignals: 0, keep: false, logs: [] },
      ...{ tasks: new Map(), signals: new Map(), signalIds: new Set<string>() },
    };
    if (lease !== undefined) hold(row, { claimId: "", ...lease }, now);
    else settle(row, now);
    this.#rows.set(run.id, row);
    if (run.idempotencyKey) this.#byKey.set(keyOf(given), row);
    return row;
  }

  /** The runs that a claim takes. */
  pick({ jobIds, only, limit, suspects }: kit.ClaimRequest, now: number): Row[] {
    const before = (a: Row, b: Row) =>
      Number(isInternal(b)) - Number(isInternal(a)) ||
      b.run.priority - a.run.priority ||
      Number(a.run.startedAt === null) - Number(b.run.startedAt === null) ||
      dueAt(a) - dueAt(b) ||
      a.order - b.order;
    let suspectsLeft: number = suspects;
    return this.all()
      .filter((row) => isOpen(row) && !isHeld(row, now) && jobIds.includes(row.run.jobId))
      .filter((row) => only?.includes(row.run.id) ?? dueAt(row) <= now)
      .sort(before)
      .filter(({ run }) => run.stalls < 2 || suspectsLeft-- > 0)
      .slice(0, limit);
  }

  claimRuns(request: kit.ClaimRequest, now: number): kit.ClaimResult {
    const isAgain = (row: Row) => row.claim?.id === request.claimId && isHeld(row, now);
    const again = this.all().filter(isAgain);
    const rows = again.length > 0 ? again : this.pick(request, now);
    const suspects = rows.some(({ run }) => run.stalls >= 2) ? 0 : request.suspects;
    for (const row of rows) if (!isHeld(row, now)) hold(row, request, now);
    const runs = rows.map((row): kit.ClaimedRun => {
      const { run, claim, logs, signals } = row;
      const kept = claim?.kept === true;
      const logCounts: Record<string, number> = {};
      for (const { stream } of kept ? [] : logs) logCounts[stream] = (logCounts[stream] ?? 0) + 1;
      const tasks = page(kept ? [] : tasksOf(row), request.taskBudget / rows.length, 0);
      const rest = { tasks: tasks.tasks, tasksComplete: tasks.complete, kept, logCounts };
      return { run, signals: [...signals.values()], ...rest };
    });
    const mine = this.all().filter(({ run }) => request.jobIds.includes(run.jobId));
    const later = mine.map(dueAt).filter((at) => at > now && at < NEVER);
    const deadlines = this.all().flatMap(({ run }) => run.deadlineAt ?? []);
    const isLate = ({ run }: Row) => (run.deadlineAt ?? NEVER) <= now;
    const late = this.all().filter(isLate).slice(0, 100);
    const left = this.pick({ ...request, only: undefined, suspects }, now);
    const nextDue = left.length > 0 ? now : earliest(later);
    const overdue = late.map(({ run }) => run.id);
    return { now, runs, nextDue, overdue, nextDeadline: earliest(deadlines) };
  }

  commit(writes: readonly kit.RunWrite[], now: number): kit.CommitResult[] {
    return writes.map((write) => {
      const row = this.get(write.runId);
      if (row === undefined)
        return { result: "missing", epoch: 0, status: "PENDING", inbox: 0, leaseUntil: null };
      const outcome = this.#outcome(row, write);
      if (outcome === undefined) this.#apply(row, write, now);
      const { epoch, status, inbox, leaseUntil } = row.run;
      return { result: "ok", epoch, status, inbox, leaseUntil, ...outcome };
    });
  }

  /** What is answered if there is nothing to apply. */
  #outcome({ run, ...row }: Row, write: kit.RunWrite): Partial<kit.CommitResult> | undefined {
    const { writeId, guard, tasks = [], values = [], runs = [] } = write;
    const isRepeated = tasks.some(({ path }) => row.tasks.get(path)?.writeId === writeId);
    if (isRepeated || row.writeId === writeId) return { result: "ok" };
    if (isFinal(run.status) && !write.reopen) return { result: "final" };
    if ((guard.epoch ?? run.epoch) !== run.epoch) return { result: "fenced" };
    const isStatus = guard.statuses?.includes(run.status) ?? true;
    const hasMoved = values.some(({ key, expected }) => !this.#matches(key, expected));
    const isGeneration = (guard.generation ?? run.generation) === run.generation;
    const isInbox = (guard.inbox ?? run.inbox) === run.inbox;
    if (!isStatus || hasMoved || !isInbox || !isGeneration) return { result: "conflict" };
    const known = new Map([...row.tasks].map(([path, { task }]) => [path, task]));
    const seqs = new Set([...known.values()].map(({ seq }) => seq));
    for (const task of tasks) {
      const old = known.get(task.path);
      const isReplaceable = old?.status !== "COMPLETED" && old?.seq === task.replaces;
      const reason = `Task ${task.path}: completed, or not the seq that is replaced or next.`;
      if (!isReplaceable || seqs.has(task.seq)) return { result: "rejected", reason };
      known.set(task.path, task);
      seqs.add(task.seq);
    }
    const isHolder = guard.epoch !== undefined && !isFinal(run.status);
    const staysOpen = (write.run || write.reopen) && !isFinal(write.run?.status ?? run.status);
    if (staysOpen && !isHolder && !write.release)
      return { result: "rejected", reason: "A write that is not the holder's needs a release." };
    if (runs.some(({ lease, idempotencyKey }) => lease || idempotencyKey))
      return { result: "rejected", reason: "A child has neither a lease nor a key." };
    return undefined;
  }

  #apply(row: Row, write: kit.RunWrite, now: number): void {
    const { runId, writeId, guard, tasks = [], ...rest } = write;
    for (const { replaces: _, ...task } of tasks) row.tasks.set(task.path, { task, writeId });
    if (Object.keys(rest).length === 0) return;
    const { run } = row;
    row.writeId = writeId;
    for (const id of rest.signalsRead ?? [])
      if (row.signals.get(id)?.topic !== WATCH_TOPIC) row.signals.delete(id);
    if (rest.run || rest.release || rest.reopen) this.#change(row, write, now);
    if (run.leaseUntil !== null) run.leaseUntil = Math.max(run.leaseUntil, rest.leaseUntil ?? 0);
    settle(row, now);
    const epoch = guard.epoch ?? run.epoch;
    for (const line of rest.logs ?? [])
      if (!row.logs.some((each) => each.epoch === epoch && each.ordinal === line.ordinal))
        row.logs.push({ ...line, epoch, position: row.logs.length + 1 });
    for (const { key, value } of rest.values ?? []) this.writeValue({ key, value });
    for (const child of rest.runs ?? [])
      if (this.#holder(child, now) === undefined) this.#insert(child, null, now);
    for (const { runId: to, ...signal } of rest.signals ?? []) this.#send(to, signal, now);
    for (const { targetId, signalId, topic } of rest.watches ?? []) {
      const ref = JSON.stringify({ watcherId: runId, signalId, topic } satisfies kit.WatchRef);
      const watch = { id: `${runId} ${signalId}`, topic: WATCH_TOPIC, ref };
      const target = this.get(targetId);
      if (target && isOpen(target)) this.#send(targetId, watch, now);
      else this.#send(runId, { id: signalId, topic, ref: targetId }, now);
    }
  }

  #change(row: Row, { guard, run: patch, release }: kit.RunWrite, now: number): void {
    const { run } = row;
    const wasFinal = isFinal(run.status);
    const isOutsider = guard.epoch === undefined || wasFinal;
    Object.assign(run, wasFinal && { finishedAt: null }, patch);
    const isOver = isFinal(run.status);
    if (isOver) Object.assign(run, { finishedAt: patch?.finishedAt ?? now, deadlineAt: null });
    if (isOutsider || release) run.epoch += 1;
    if (wasFinal) run.generation += 1;
    if (isOutsider || release || isOver) run.leaseUntil = null;
    row.wakeAt = release ? (release.wakeAt ?? NEVER) : row.wakeAt;
    row.wakeSignals = release?.wakeSignals ?? row.wakeSignals;
    row.keep = !isOutsider && release?.keep === true;
  }

  #send(runId: string, signal: kit.Signal, now: number): void {
    const row = this.get(runId);
    if (row === undefined || row.signalIds.has(signal.id)) return;
    row.signalIds.add(signal.id);
    row.signals.set(signal.id, signal);
    row.run.inbox += 1;
    if (dueAt(row) > now) settle(row, now);
  }

  value(key: string): kit.StoredValue | undefined {
    const { value = null, version = 0 } = this.values.get(key) ?? {};
    return value === null ? undefined : { value, version };
  }

  #matches(key: string, expected: number | undefined): boolean {
    return expected === undefined || expected === (this.value(key)?.version ?? 0);
  }

  writeValue({ key, value, expected }: kit.ValueWrite): kit.ValueResult {
    if (!this.#matches(key, expected)) return { ok: false, version: 0, ...this.value(key) };
    const version = (this.values.get(key)?.version ?? 0) + 1;
    this.values.set(key, { value, version });
    return { ok: true, version: value === null ? 0 : version };
  }

  purge({ finishedBefore, dedupeUntil, limit }: kit.PurgeQuery, now: number): { purged: number } {
    for (const [id, row] of this.#rows)
      if ((row.buriedUntil ?? NEVER) <= now) this.#rows.delete(id);
    for (const [key, row] of this.#byKey) if (!this.#rows.has(row.run.id)) this.#byKey.delete(key);
    const endOf = ({ run }: Row) => run.finishedAt ?? NEVER;
    const isWantedBy = (open: Row, { run }: Row) =>
      open.run.id === run.parentId || (isInternal(open) && open.run.parentId === run.id);
    const isWanted = (row: Row) => this.all().some((open) => isOpen(open) && isWantedBy(open, row));
    const rows = this.all().filter((row) => !isOpen(row) && endOf(row) < finishedBefore);
    const free = rows.filter((row) => !isWanted(row));
    const taken = free.sort((a, b) => endOf(a) - endOf(b)).slice(0, limit);
    for (const row of taken) row.buriedUntil = dedupeUntil;
    return { purged: taken.length };
  }
}

type Calls = Pick<State, "createRuns" | "claimRuns" | "commit" | "writeValue" | "purge">;
interface Entry<M extends keyof Calls = keyof Calls> {
  readonly method: M;
  readonly argument: Parameters<Calls[M]>[0];
  readonly now: number;
}

/** Synchronous, so that nothing else of this process comes in between. */
class Journal {
  readonly state = new State();
  readonly #folder: string;
  #files = 0;
  /** The greatest instant seen: time never goes back. */
  now = 0;

  constructor(folder: string) {
    this.#folder = folder;
    fs.mkdirSync(folder, { recursive: true });
  }

  #path = (): string => join(this.#folder, `${this.#files}.json`);

  /** Carries out what was written since. */
  catchUp(wallTime: number): void {
    while (fs.existsSync(this.#path())) this.#next();
    this.now = Math.max(this.now, wallTime);
  }

  #next(): unknown {
    const { method, argument, now } = JSON.parse(fs.readFileSync(this.#path(), "utf8")) as Entry;
    this.now = Math.max(this.now, now);
    this.#files += 1;
    return this.state[method](argument as never, now);
  }

  call<M extends keyof Calls>(method: M, argument: Entry<M>["argument"], wallTime: number) {
    const aside = join(this.#folder, `${randomUUID()}.tmp`);
    for (;;) {
      this.catchUp(wallTime);
      const entry: Entry<M> = { method, argument, now: this.now };
      fs.writeFileSync(aside, JSON.stringify(entry), { flush: true });
      try {
        fs.linkSync(aside, this.#path());
        const folder = fs.openSync(this.#folder, "r");
        fs.fsyncSync(folder);
        fs.closeSync(folder);
        // Ours, and not what others may have written after it.
        return this.#next() as ReturnType<Calls[M]>;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      } finally {
        fs.rmSync(aside);
      }
    }
  }
}

export function fileStorage(folder: string): kit.Storage {
  const journal = new Journal(folder);
  let clock: Pick<kit.Clock, "now"> = Date;
  let isClosed = false;
  const wallTime = (): number => {
    if (isClosed) throw new kit.StorageError("STORAGE_CLOSED", "This storage is closed.");
    return clock.now();
  };
  /** Answers are copies: what is in the state is nobody else's. */
  const read = <T>(look: (state: State, now: number) => T): T => {
    journal.catchUp(wallTime());
    return structuredClone(look(journal.state, journal.now));
  };
  const call = <M extends keyof Calls>(method: M, argument: Entry<M>["argument"]) =>
    structuredClone(journal.call(method, argument, wallTime()));
  const largest = { maxElementBytes: 1 << 26, maxElementTasks: 100_000, maxValueBytes: 1 << 26 };
  return {
    name: "files",
    specVersion: kit.SPEC_VERSION,
    capabilities: { limits: false, staleMs: 0, ...largest },
    init: async (environment) => {
      wallTime();
      clock = environment.clock;
    },
    close: async () => {
      isClosed = true;
    },
    now: async () => read((_, now) => now),
    createRuns: async (elements) =>
      elements.length ? call("createRuns", elements) : read(() => []),
    // A claim that takes nothing is not worth a file.
    claimRuns: async (request) =>
      read((state, now) => state.pick(request, now).length) > 0
        ? call("claimRuns", request)
        : read((state, now) => state.claimRuns(request, now)),
    commit: async (writes) => (writes.length ? call("commit", writes) : read(() => [])),
    getRuns: async (ids) => read((state) => ids.map((id) => state.get(id)?.run)),
    listTasks: async (runId, afterSeq, byteBudget) =>
      read((state) => {
        const row = state.get(runId);
        const tasks = row ? tasksOf(row).filter(({ seq }) => seq > afterSeq) : [];
        return page(tasks, byteBudget, 1);
      }),
    listSignals: async (runId) => read((state) => [...(state.get(runId)?.signals.values() ?? [])]),
    listWaiting: async (topics, { after, limit }) =>
      read((state) => {
        const waits = state.all().flatMap((row) => {
          const { id: runId, jobId, createdAt } = row.run;
          return isOpen(row) ? tasksOf(row).map((task) => ({ runId, jobId, createdAt, task })) : [];
        });
        const place = (runId: string, path: string) => `${runId}\u0000${path}`;
        const last = after && place(after.runId, after.path);
        return waits
          .filter(({ task }) => task.status === "WAITING")
          .filter(({ task }) => task.topics?.some((topic) => topics.includes(topic)))
          .map((wait) => ({ wait, at: place(wait.runId, wait.task.path) }))
          .filter(({ at }) => last === undefined || at > last)
          .sort((a, b) => (a.at < b.at ? -1 : 1))
          .slice(0, limit)
          .map(({ wait }) => wait);
      }),
    listRuns: async (query) =>
      read((state, now) => {
        const { jobIds, statuses, tag, createdFrom = 0, createdTo = NEVER } = query;
        const found = state.all().filter((row) => {
          const { run, order } = row;
          const isOf = (column: "eventId" | "parentId") =>
            (query[column] ?? run[column]) === run[column];
          const isBlocked = run.blocked !== null;
          const isInTime = run.createdAt >= createdFrom && run.createdAt < createdTo;
          if (isInternal(row) && !query.internal) return false;
          if (!isInTime || order >= Number(query.cursor ?? NEVER)) return false;
          if (!isOf("eventId") || !isOf("parentId")) return false;
          if ((query.blocked ?? isBlocked) !== isBlocked) return false;
          if (tag !== undefined && !run.tags.includes(tag)) return false;
          if (jobIds !== undefined && !jobIds.includes(run.jobId)) return false;
          return statuses?.includes(kit.displayStatus(run, now)) ?? true;
        });
        const rows = found.sort((a, b) => b.order - a.order).slice(0, query.limit);
        const nextCursor = found.length > rows.length ? `${rows.at(-1)?.order}` : undefined;
        return { runs: rows.map(({ run }) => run), nextCursor };
      }),
    listLogs: async (runId, { after = 0, limit }) =>
      read((state) => state.get(runId)?.logs.slice(after, after + limit) ?? []),
    countRuns: async () =>
      read((state, now) => {
        const counts: Partial<Record<kit.RunStatus, number>> = {};
        for (const row of state.all()) {
          const status = kit.displayStatus(row.run, now);
          if (!isInternal(row)) counts[status] = (counts[status] ?? 0) + 1;
        }
        return counts;
      }),
    getValue: async (key) => read((state) => state.value(key)),
    setValue: async (key, value, expected) => call("writeValue", { key, value, expected }),
    deleteValue: async (key, expected) => call("writeValue", { key, value: null, expected }),
    listValues: async (prefix, { after, limit }) =>
      read((state) => {
        const keys = [...state.values.keys()].filter((key) => key.startsWith(prefix)).sort();
        const later = keys.filter((key) => after === undefined || key > after);
        const found = later.map((key) => ({ key, value: state.value(key) }));
        return found.flatMap(({ key, value }) => (value ? { key, ...value } : [])).slice(0, limit);
      }),
    purge: async (query) => call("purge", query),
  };
}
