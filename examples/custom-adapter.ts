// A storage of one's own on plain files: durable, for any number of processes on one machine.
//
// The journal is a folder of numbered files, each with one call that changes something and its
// instant. A call is written to a file aside, which is then linked under the next number. That
// fails if another process took the number: then its call comes first, and ours tries the next.
// So no lock is needed, none is left behind by a crash, and no file is ever seen half written.
// Everybody carries out the same calls in the same order, and so comes to the same state.
//
// Left out: indexes, limits (S7), and snapshots that would let old files go. A new version of
// the code below must decide old calls as before, or begin with a new folder.
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import * as kit from "pawl/adapter-kit";

interface Row {
  run: { -readonly [K in keyof kit.RunRecord]: kit.RunRecord[K] };
  readonly order: number;
  readonly createId: string | null;
  readonly keyUntil: number;
  wakeAt: number;
  wakeSignals: number;
  keep: boolean;
  writeId?: string;
  claim?: { readonly id: string; readonly kept: boolean };
  readonly tasks: Map<string, { readonly task: kit.TaskRecord; readonly writeId: string }>;
  readonly signals: Map<string, kit.Signal & { read?: boolean }>;
  readonly logs: kit.StoredLogLine[];
}
type ValueChange = readonly [key: string, value: string | null, expected: number | undefined];

const isOpen = ({ run }: Row): boolean => !kit.isFinal(run.status);
const isHeld = ({ run }: Row, now: number): boolean => (run.leaseUntil ?? 0) > now;
const dueAt = ({ run }: Row): number => run.dueAt ?? kit.NEVER;
const unread = ({ signals }: Row) => [...signals.values()].filter(({ read }) => !read);
const tasksOf = ({ tasks }: Row) =>
  [...tasks.values()].map(({ task }) => task).sort((a, b) => a.seq - b.seq);
const lastSeq = ({ tasks }: Row) => Math.max(0, ...[...tasks.values()].map(({ task }) => task.seq));
const first = (numbers: number[]) => (numbers.length > 0 ? Math.min(...numbers) : null);

/** S8: to be called after every change of what it depends on. */
function settle(row: Row, now: number): void {
  const calls = unread(row).filter(({ topic }) => topic !== kit.WATCH_TOPIC).length;
  const called = row.wakeSignals > 0 && calls >= row.wakeSignals;
  const wakeAt = called ? Math.min(row.wakeAt, dueAt(row), now) : row.wakeAt;
  row.run.dueAt = isOpen(row) ? (row.run.leaseUntil ?? wakeAt) : null;
}

function hold({ run, ...row }: Row, workerId: string, leaseMs: number, now: number): void {
  run.status = "EXECUTING";
  run.epoch += 1;
  if (!row.keep || run.workerId !== workerId) run.executionCount += 1;
  run.workerId = workerId;
  run.leaseUntil = run.dueAt = now + leaseMs;
  if (run.startedAt !== null) return;
  run.startedAt = now;
  run.deadlineAt = run.maxDurationMs === null ? null : now + run.maxDurationMs;
}

function page(tasks: readonly kit.TaskRecord[], budget: number, atLeast: number) {
  let size = 0;
  const end = tasks.findIndex(
    (t, n) => (size += JSON.stringify(t).length) > budget && n >= atLeast,
  );
  return { tasks: end < 0 ? tasks : tasks.slice(0, end), complete: end < 0, size };
}

class State {
  readonly runs = new Map<string, Row>();
  readonly graves = new Map<string, Row & { until: number }>();
  /** A deleted value stays as null, so that no version ever comes again. */
  readonly values = new Map<string, { value: string | null; version: number }>();
  #created = 0;

  all = (): Row[] => [...this.runs.values()];

  createRuns(elements: readonly kit.CreateElement[], now: number): kit.CreateResult[] {
    return elements.map(({ createId, groups, expect = [] }) => {
      const again = groups.some((group) => this.#known(group.first, now)?.createId === createId);
      const moved = expect.some(({ key, version }) => !this.#matches(key, version));
      if (moved && !again) return { result: "conflict" };
      const make = (run: kit.NewRun): kit.CreatedRun => {
        const known = this.#known(run, now);
        const created = known === undefined || (again && known.createId === createId);
        const row = known ?? this.#insert(run, createId, now);
        const lease = created && !run.limitKeys?.length && !kit.isFinal(run.status) && run.lease;
        const { id, fingerprint, createdAt } = row.run;
        return {
          id,
          created,
          fingerprint,
          createdAt,
          leaseUntil: lease ? createdAt + lease.leaseMs : null,
        };
      };
      const made = groups.map((group) => {
        const head = make(group.first);
        return { first: head, further: head.created ? (group.further ?? []).map(make) : [] };
      });
      return { result: "ok", groups: made };
    });
  }

  pick(request: kit.ClaimRequest, now: number): Row[] {
    const { claimId, jobIds, only, limit } = request;
    const again = this.all().filter((row) => row.claim?.id === claimId && isHeld(row, now));
    if (again.length > 0) return again;
    let { suspects } = request as { suspects: number };
    const isFree = (row: Row) => (only ? only.includes(row.run.id) : dueAt(row) <= now);
    const rank = (row: Row) => [
      row.run.jobId.startsWith("$") ? 0 : 1,
      -row.run.priority,
      row.run.startedAt === null ? 1 : 0,
      dueAt(row),
      row.order,
    ];
    return this.all()
      .filter(
        (row) => jobIds.includes(row.run.jobId) && isOpen(row) && !isHeld(row, now) && isFree(row),
      )
      .map((row) => ({ row, rank: rank(row) }))
      .sort((a, b) => a.rank.map((n, i) => n - (b.rank[i] ?? 0)).find((n) => n !== 0) ?? 0)
      .filter(({ row }) => row.run.stalls < 2 || suspects-- > 0)
      .slice(0, limit)
      .map(({ row }) => row);
  }

  claimRuns(request: kit.ClaimRequest, now: number): kit.ClaimResult {
    const { claimId, jobIds, limit, workerId, leaseMs } = request;
    const rows = this.pick(request, now);
    for (const row of rows.filter((each) => !isHeld(each, now))) {
      const { run } = row;
      if (run.leaseUntil !== null) {
        run.stalls = lastSeq(row) > run.lastSeq ? 0 : run.stalls + 1;
        run.lastSeq = lastSeq(row);
      }
      row.claim = { id: claimId, kept: row.keep && run.workerId === workerId };
      hold(row, workerId, leaseMs, now);
      row.keep = false;
    }
    let budget = request.taskBudget;
    const runs = rows.map((row): kit.ClaimedRun => {
      const kept = row.claim?.kept === true;
      const { tasks, complete, size } = page(kept ? [] : tasksOf(row), budget, 0);
      budget -= size;
      const logCounts: Record<string, number> = {};
      for (const { stream } of kept ? [] : row.logs)
        logCounts[stream] = (logCounts[stream] ?? 0) + 1;
      return {
        run: row.run,
        signals: signalsOf(row),
        tasks,
        tasksComplete: complete,
        kept,
        logCounts,
      };
    });
    const next = this.all()
      .filter((row) => isOpen(row) && jobIds.includes(row.run.jobId))
      .map(dueAt);
    const deadlines = this.all().filter(({ run }) => run.deadlineAt !== null);
    const at = ({ run }: Row) => run.deadlineAt ?? kit.NEVER;
    return {
      now,
      runs,
      nextDue:
        rows.length >= limit ? now : first(next.filter((due) => due > now && due < kit.NEVER)),
      overdue: deadlines
        .filter((row) => at(row) <= now)
        .slice(0, 100)
        .map(({ run }) => run.id),
      nextDeadline: first(deadlines.map(at)),
    };
  }

  commit(writes: readonly kit.RunWrite[], now: number): kit.CommitResult[] {
    return writes.map((write) => {
      const row = this.runs.get(write.runId);
      if (!row)
        return { result: "missing", epoch: 0, status: "PENDING", inbox: 0, leaseUntil: null };
      const refused = this.#refusal(row, write);
      const rest = refused ?? this.#apply(row, write, now);
      const { epoch, status, inbox, leaseUntil } = row.run;
      return { result: "ok", epoch, status, inbox, leaseUntil, ...rest };
    });
  }

  #refusal(row: Row, write: kit.RunWrite): Pick<kit.CommitResult, "result" | "reason"> | undefined {
    const { guard, tasks = [], values = [], run, release, reopen, runs = [] } = write;
    const isOwn = ({ path }: kit.TaskRecord) => row.tasks.get(path)?.writeId === write.writeId;
    if (row.writeId === write.writeId || tasks.some(isOwn)) return { result: "ok" };
    if (!isOpen(row) && !reopen) return { result: "final" };
    if ((guard.epoch ?? row.run.epoch) !== row.run.epoch) return { result: "fenced" };
    const isStatus = guard.statuses?.includes(row.run.status) ?? true;
    const moved = values.some(({ key, expected }) => !this.#matches(key, expected));
    if (!isStatus || moved || (guard.inbox ?? row.run.inbox) !== row.run.inbox)
      return { result: "conflict" };
    const known = new Map([...row.tasks].map(([path, { task }]) => [path, task]));
    const seqs = new Set(tasksOf(row).map(({ seq }) => seq));
    for (const task of tasks) {
      const old = known.get(task.path);
      if (old?.status === "COMPLETED" || old?.seq !== task.replaces || seqs.has(task.seq))
        return {
          result: "rejected",
          reason: `Task ${task.path} is completed, or its seq is wrong.`,
        };
      known.set(task.path, task);
      seqs.add(task.seq);
    }
    const outsider = guard.epoch === undefined || !isOpen(row);
    if ((run || reopen) && !release && outsider && !kit.isFinal(run?.status ?? row.run.status))
      return { result: "rejected", reason: "A write that is not the holder's needs a release." };
    if (runs.some((child) => child.lease || child.idempotencyKey))
      return { result: "rejected", reason: "A child has no lease and no idempotency key." };
    return undefined;
  }

  #apply(row: Row, write: kit.RunWrite, now: number): Partial<kit.CommitResult> {
    const { runId, writeId, guard, tasks = [], release, leaseUntil, ...rest } = write;
    for (const { replaces: _, ...task } of tasks) row.tasks.set(task.path, { task, writeId });
    if (
      tasks.length > 0 &&
      Object.keys({ ...rest, ...(release && { release }) }).length === 0 &&
      !leaseUntil
    )
      return {};
    const { run } = row;
    const lapsed = !isHeld(row, now) && run.limitKeys.length > 0;
    row.writeId = writeId;
    for (const id of rest.signalsRead ?? []) {
      const signal = row.signals.get(id);
      if (signal && signal.topic !== kit.WATCH_TOPIC) signal.read = true;
    }
    if (rest.run || release || rest.reopen) {
      const wasFinal = !isOpen(row);
      const outsider = guard.epoch === undefined || wasFinal;
      Object.assign(run, wasFinal && { finishedAt: null }, rest.run);
      if (outsider || release) run.epoch += 1;
      if (wasFinal) run.generation += 1;
      if (!isOpen(row))
        Object.assign(run, { finishedAt: rest.run?.finishedAt ?? now, deadlineAt: null });
      if (outsider || release || !isOpen(row)) run.leaseUntil = null;
      if (release) {
        row.wakeAt = release.wakeAt ?? kit.NEVER;
        row.wakeSignals = release.wakeSignals;
      }
      row.keep = !outsider && release?.keep === true;
      run.dueAt = kit.NEVER;
    }
    const leaseRefused = leaseUntil !== undefined && run.leaseUntil !== null && lapsed;
    if (leaseUntil !== undefined && run.leaseUntil !== null && !lapsed)
      run.leaseUntil = Math.max(run.leaseUntil, leaseUntil);
    settle(row, now);
    const epoch = guard.epoch ?? run.epoch;
    for (const line of rest.logs ?? [])
      if (!row.logs.some((each) => each.epoch === epoch && each.ordinal === line.ordinal))
        row.logs.push({ ...line, epoch, position: row.logs.length + 1 });
    for (const { key, value } of rest.values ?? []) this.writeValue([key, value, undefined]);
    for (const child of rest.runs ?? [])
      if (!this.#known(child, now)) this.#insert(child, null, now);
    for (const { runId: to, ...signal } of rest.signals ?? []) this.#send(to, signal, now);
    for (const { targetId, signalId, topic } of rest.watches ?? []) {
      const target = this.runs.get(targetId);
      const ref: kit.WatchRef = { watcherId: runId, signalId, topic };
      if (!target || !isOpen(target))
        this.#send(runId, { id: signalId, topic, ref: targetId }, now);
      else
        this.#send(
          targetId,
          { id: `${runId} ${signalId}`, topic: kit.WATCH_TOPIC, ref: JSON.stringify(ref) },
          now,
        );
    }
    return leaseRefused ? { leaseRefused } : {};
  }

  #send(runId: string, signal: kit.Signal, now: number): void {
    const row = this.runs.get(runId);
    if (!row || row.signals.has(signal.id)) return;
    row.signals.set(signal.id, signal);
    row.run.inbox += 1;
    if (dueAt(row) > now) settle(row, now);
  }

  writeValue([key, value, expected]: ValueChange): kit.ValueResult {
    const there = this.value(key);
    if (!this.#matches(key, expected)) return { ok: false, version: 0, ...there };
    const version = (this.values.get(key)?.version ?? 0) + (value === null ? 0 : 1);
    this.values.set(key, { value, version });
    return { ok: true, version: value === null ? 0 : version };
  }

  value(key: string): kit.StoredValue | undefined {
    const { value = null, version = 0 } = this.values.get(key) ?? {};
    return value === null ? undefined : { value, version };
  }

  #matches = (key: string, version?: number) =>
    (this.value(key)?.version ?? 0) === (version ?? this.value(key)?.version ?? 0);

  purge(query: kit.PurgeQuery, now: number): { purged: number } {
    for (const [id, { until }] of this.graves) if (until <= now) this.graves.delete(id);
    const ended = ({ run }: Row) => run.finishedAt ?? kit.NEVER;
    const isWanted = ({ run }: Row) => {
      const parent = this.runs.get(run.parentId ?? "");
      return parent !== undefined && isOpen(parent);
    };
    const rows = this.all()
      .filter((row) => !isOpen(row) && ended(row) < query.finishedBefore && !isWanted(row))
      .sort((a, b) => ended(a) - ended(b))
      .slice(0, query.limit);
    for (const row of rows) {
      this.runs.delete(row.run.id);
      this.graves.set(row.run.id, { ...row, until: query.dedupeUntil });
    }
    return { purged: rows.length };
  }

  /** Who makes this run unnecessary: by id, or by a key that has not expired. */
  #known(run: kit.NewRun, now: number): Row | undefined {
    const there = [
      ...this.runs.values(),
      ...[...this.graves.values()].filter(({ until }) => until > now),
    ];
    const sameKey = (row: Row) =>
      row.run.jobId === run.jobId &&
      row.run.idempotencyKey === run.idempotencyKey &&
      row.keyUntil > now;
    return (
      there.find((row) => row.run.id === run.id) ??
      (run.idempotencyKey ? there.find(sameKey) : undefined)
    );
  }

  #insert(
    { wakeAt, lease, idempotencyExpiresAt, ...columns }: kit.NewRun,
    createId: string | null,
    now: number,
  ): Row {
    const over = kit.isFinal(columns.status);
    const run: Row["run"] = {
      ...{
        epoch: 0,
        generation: 1,
        workerId: null,
        leaseUntil: null,
        dueAt: null,
        deadlineAt: null,
      },
      ...{
        maxDurationMs: null,
        priority: 0,
        limitKeys: [],
        admitted: null,
        output: null,
        error: null,
      },
      ...{
        blocked: null,
        executionCount: 0,
        stalls: 0,
        lastSeq: 0,
        inbox: 0,
        tags: [],
        eventId: null,
      },
      ...{
        parentId: null,
        parentPath: null,
        idempotencyKey: null,
        fingerprint: null,
        isTest: false,
      },
      ...{
        createdAt: now,
        startedAt: null,
        meta: null,
        state: null,
        finishedAt: over ? now : null,
      },
      ...columns,
      ...(over && { deadlineAt: null }),
    };
    const lists = { tasks: new Map(), signals: new Map(), logs: [] };
    const keyUntil = idempotencyExpiresAt ?? kit.NEVER;
    const order = ++this.#created;
    const row: Row = {
      run,
      order,
      createId,
      keyUntil,
      wakeAt: wakeAt ?? kit.NEVER,
      wakeSignals: 0,
      keep: false,
      ...lists,
    };
    if (lease && !over && run.limitKeys.length === 0) hold(row, lease.workerId, lease.leaseMs, now);
    else settle(row, now);
    this.runs.set(run.id, row);
    return row;
  }
}

const signalsOf = (row: Row): kit.Signal[] =>
  unread(row).map(({ id, topic, ref }) => ({ id, topic, ref }));

type Call = { [M in "createRuns" | "claimRuns" | "commit" | "writeValue" | "purge"]: State[M] };

class Journal {
  readonly state = new State();
  now = 0;
  #files = 0;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    fs.mkdirSync(folder, { recursive: true });
  }

  #path = (number: number): string => join(this.#folder, `${number}.json`);

  /** Carries out what others have written since. Answers what the last call answered. */
  catchUp(wallTime: number): unknown {
    for (let answer: unknown; ; this.#files += 1) {
      this.now = Math.max(this.now, wallTime);
      if (!fs.existsSync(this.#path(this.#files))) return answer;
      const { method, argument, now } = JSON.parse(
        fs.readFileSync(this.#path(this.#files), "utf8"),
      ) as { method: keyof Call; argument: never; now: number };
      this.now = Math.max(this.now, now);
      answer = this.state[method](argument, now);
    }
  }

  /** Synchronous, so that no other call of this process comes in between. */
  call<M extends keyof Call>(
    method: M,
    argument: Parameters<Call[M]>[0],
    wallTime: number,
  ): ReturnType<Call[M]> {
    for (;;) {
      this.catchUp(wallTime);
      const aside = join(this.#folder, `${randomUUID()}.tmp`);
      fs.writeFileSync(aside, JSON.stringify({ method, argument, now: this.now }), { flush: true });
      try {
        fs.linkSync(aside, this.#path(this.#files));
        const folder = fs.openSync(this.#folder, "r");
        fs.fsyncSync(folder);
        fs.closeSync(folder);
        return this.catchUp(0) as ReturnType<Call[M]>;
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
  let closed = false;
  const open = () => {
    if (closed) throw new kit.StorageError("STORAGE_CLOSED", "This storage is closed.");
    return clock.now();
  };
  /** Answers are copies: what is in the state is nobody else's. */
  const read = <T>(look: (state: State, now: number) => T): T => {
    journal.catchUp(open());
    return structuredClone(look(journal.state, journal.now));
  };
  const call = <M extends keyof Call>(method: M, argument: Parameters<Call[M]>[0]) =>
    structuredClone(journal.call(method, argument, open()));
  const newest = (state: State) => state.all().sort((a, b) => b.order - a.order);
  const isInternal = ({ run }: Row) => run.jobId.startsWith("$");
  return {
    name: "files",
    specVersion: kit.SPEC_VERSION,
    capabilities: {
      limits: false,
      staleMs: 0,
      maxElementBytes: 1 << 26,
      maxElementTasks: 100_000,
      maxValueBytes: 1 << 26,
    },
    init: async (environment) => {
      open();
      clock = environment.clock;
    },
    close: async () => {
      closed = true;
    },
    now: async () => read((_, now) => now),
    createRuns: async (elements) =>
      elements.length > 0 ? call("createRuns", elements) : read(() => []),
    // A claim that takes nothing is not worth a file.
    claimRuns: async (request) =>
      read((state, now) => state.pick(request, now).length > 0)
        ? call("claimRuns", request)
        : read((state, now) => state.claimRuns(request, now)),
    commit: async (writes) => (writes.length > 0 ? call("commit", writes) : read(() => [])),
    getRuns: async (ids) => read((state) => ids.map((id) => state.runs.get(id)?.run)),
    listTasks: async (runId, afterSeq, byteBudget) =>
      read((state) => {
        const row = state.runs.get(runId);
        const { tasks, complete } = page(
          row ? tasksOf(row).filter(({ seq }) => seq > afterSeq) : [],
          byteBudget,
          1,
        );
        return { tasks, complete };
      }),
    listSignals: async (runId) =>
      read((state) => [state.runs.get(runId)].flatMap((row) => (row ? signalsOf(row) : []))),
    listWaiting: async (topics, { after, limit }) =>
      read((state) =>
        state
          .all()
          .filter(isOpen)
          .flatMap((row) =>
            tasksOf(row).map((task) => ({
              runId: row.run.id,
              jobId: row.run.jobId,
              createdAt: row.run.createdAt,
              task,
            })),
          )
          .filter(
            ({ task }) =>
              task.status === "WAITING" && task.topics?.some((topic) => topics.includes(topic)),
          )
          .map((wait) => ({ wait, at: `${wait.runId}\0${wait.task.path}` }))
          .filter(({ at }) => !after || at > `${after.runId}\0${after.path}`)
          .sort((a, b) => (a.at < b.at ? -1 : 1))
          .slice(0, limit)
          .map(({ wait }) => wait),
      ),
    listRuns: async (query) =>
      read((state, now) => {
        const found = newest(state).filter((row) => {
          const { run } = row;
          return (
            (query.internal || !isInternal(row)) &&
            (query.jobIds?.includes(run.jobId) ?? true) &&
            (query.statuses?.includes(kit.displayStatus(run, now)) ?? true) &&
            (query.tag === undefined || run.tags.includes(query.tag)) &&
            (query.eventId ?? run.eventId) === run.eventId &&
            (query.parentId ?? run.parentId) === run.parentId &&
            (query.blocked ?? run.blocked !== null) === (run.blocked !== null) &&
            run.createdAt >= (query.createdFrom ?? 0) &&
            run.createdAt < (query.createdTo ?? kit.NEVER) &&
            row.order < Number(query.cursor ?? kit.NEVER)
          );
        });
        const runs = found.slice(0, query.limit);
        const nextCursor = found.length > runs.length ? `${runs.at(-1)?.order}` : undefined;
        return { runs: runs.map(({ run }) => run), nextCursor };
      }),
    listLogs: async (runId, { after = 0, limit }) =>
      read((state) => state.runs.get(runId)?.logs.slice(after, after + limit) ?? []),
    countRuns: async () =>
      read((state, now) => {
        const counts: Partial<Record<kit.RunStatus, number>> = {};
        for (const row of state.all().filter((each) => !isInternal(each))) {
          const status = kit.displayStatus(row.run, now);
          counts[status] = (counts[status] ?? 0) + 1;
        }
        return counts;
      }),
    getValue: async (key) => read((state) => state.value(key)),
    setValue: async (key, value, expected) => call("writeValue", [key, value, expected]),
    deleteValue: async (key, expected) => call("writeValue", [key, null, expected]),
    listValues: async (prefix, { after, limit }) =>
      read((state) =>
        [...state.values.keys()]
          .filter((key) => key.startsWith(prefix) && (after === undefined || key > after))
          .sort()
          .flatMap((key) => ({ key, value: state.value(key) }))
          .flatMap(({ key, value }) => (value ? { key, ...value } : []))
          .slice(0, limit),
      ),
    purge: async (query) => call("purge", query),
  };
}
