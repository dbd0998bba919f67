// A storage of one's own on plain files: durable, for any number of processes on one machine.
//
// The journal is a folder of numbered files, each with one call that changes something and its
// instant. A call is written to a file aside, which is then linked under the next number. That
// fails if another process took the number: then its call comes first, and ours tries the next.
// So no lock is needed, none is left behind by a crash, and no file is ever seen half written.
// Everybody carries out the same calls in the same order, and so comes to the same state.
//
// What a call means is decided by functions of pawl/adapter-kit. What is left to an adapter is to
// find what they ask for, and to keep what they answer, so that nobody comes between the two:
// `State` does that in memory, `Journal` makes it durable. Left out: indexes, and snapshots that
// would let old files go. Should a later version decide in another way, begin with a new folder.
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import * as kit from "pawl/adapter-kit";

/** A run and what belongs to it. */
interface Row {
  /** Never changed: a function answers the next one, which takes its place. */
  stored: kit.StoredRun;
  /** Its place in the order of creation. */
  readonly order: number;
  readonly tasks: kit.TaskTable;
  readonly inbox: kit.Inbox;
  readonly log: kit.RunLog;
}

class State {
  /** In the order of creation. */
  readonly #rows = new Map<string, Row>();
  readonly #tombstones = new Map<string, kit.Identity>();
  /** Run ids by idempotency key. */
  readonly #byKey = new Map<string, string>();
  readonly values = new Map<string, kit.ValueEntry>();
  #created = 0;

  all = (): Row[] => [...this.#rows.values()];
  get = (id: string | null): Row | undefined => this.#rows.get(id ?? "");
  run = (id: string | null): kit.RunRecord | undefined => this.get(id)?.stored.run;
  value = (key: string) => kit.storedValue(this.values.get(key));
  versionOf = (key: string): number => this.value(key)?.version ?? 0;

  /** Of a run, or of one that was purged: its id and key are not to be used again too soon. */
  #identity = (id = ""): kit.Identity | undefined =>
    this.get(id)?.stored ?? this.#tombstones.get(id);

  #holder(run: kit.NewRun, now: number): kit.Identity | undefined {
    const byKey = this.#identity(this.#byKey.get(kit.keyName(run) ?? ""));
    return kit.holderOf(run, this.#identity(run.id), byKey, now);
  }

  #insert(stored: kit.StoredRun, hasKey = true): void {
    const tables = { tasks: new kit.TaskTable(), inbox: new kit.Inbox(), log: new kit.RunLog() };
    const key = hasKey ? kit.keyName(stored.run) : null;
    this.#created += 1;
    this.#rows.set(stored.run.id, { stored, order: this.#created, ...tables });
    if (key !== null) this.#byKey.set(key, stored.run.id);
  }

  createRuns(elements: readonly kit.CreateElement[], now: number): kit.CreateResult[] {
    const holder = (run: kit.NewRun) => this.#holder(run, now);
    return elements.map((element) => {
      const plan = kit.planCreation(element, { holder, versionOf: this.versionOf }, now);
      for (const stored of plan.runs) this.#insert(stored);
      for (const value of plan.values) this.writeValue(value);
      return plan.answer;
    });
  }

  claimRuns(request: kit.ClaimRequest, now: number): kit.ClaimResult {
    const { taken, ...outlook } = kit.planClaim(this.all(), request, now);
    const runs = taken.map(({ row, stored }) => {
      row.stored = stored;
      return kit.claimAnswer(row, request.taskBudget / taken.length);
    });
    return { now, runs, ...outlook };
  }

  commit(writes: readonly kit.RunWrite[], now: number): kit.CommitResult[] {
    return writes.map((write) => {
      const row = this.get(write.runId);
      if (row === undefined) return kit.commitResult("missing");
      const known = { tasks: row.tasks, values: this };
      return kit.commitVerdict(write, row.stored, known) ?? this.#apply(row, write, now);
    });
  }

  #apply(row: Row, write: kit.RunWrite, now: number): kit.CommitResult {
    for (const task of write.tasks ?? []) row.tasks.put(kit.storedTask(task, write.writeId));
    const signalsRead = row.inbox.markRead(write.signalsRead ?? []);
    const { stored, leaseRefused } = kit.afterWrite(row.stored, write, signalsRead, now);
    row.stored = stored;
    row.log.append(write.logs ?? [], write.guard.epoch ?? stored.run.epoch);
    for (const value of write.values ?? []) this.writeValue(value);
    for (const run of write.runs ?? [])
      if (this.#holder(run, now) === undefined) this.#insert(kit.newStoredRun(run, null, now));
    for (const signal of write.signals ?? []) this.#send(signal, now);
    for (const watch of write.watches ?? [])
      this.#send(kit.signalOfWatch(write.runId, watch, this.run(watch.targetId)), now);
    return { ...kit.commitResult("ok", row.stored.run), leaseRefused };
  }

  #send({ runId, ...signal }: kit.NewSignal, now: number): void {
    const row = this.get(runId);
    if (row?.inbox.add(signal)) row.stored = kit.afterSignal(row.stored, signal.topic, now);
  }

  writeValue(write: kit.ValueWrite): kit.ValueResult {
    const { entry, result } = kit.afterValueWrite(this.values.get(write.key), write);
    if (entry !== undefined) this.values.set(write.key, entry);
    return result;
  }

  purge({ finishedBefore, dedupeUntil, limit }: kit.PurgeQuery, now: number): { purged: number } {
    for (const [id, { until = now }] of this.#tombstones)
      if (until <= now) this.#tombstones.delete(id);
    for (const [key, id] of this.#byKey)
      if (this.#identity(id) === undefined) this.#byKey.delete(key);
    const runs = this.all().map(({ stored }) => stored.run);
    const childrenOf = (id: string) => runs.filter(({ parentId }) => parentId === id);
    const isFree = (run: kit.RunRecord) =>
      kit.isPurgeable(run, this.run(run.parentId), childrenOf(run.id), finishedBefore);
    const endOf = (row: Row) => row.stored.run.finishedAt ?? 0;
    const ended = this.all().filter(({ stored }) => isFree(stored.run));
    const taken = ended.sort((a, b) => endOf(a) - endOf(b)).slice(0, limit);
    for (const { stored } of taken) {
      this.#rows.delete(stored.run.id);
      this.#tombstones.set(stored.run.id, kit.tombstoneOf(stored, dedupeUntil));
    }
    return { purged: taken.length };
  }

  /** For another store, which may be of another kind. */
  exportRuns(query: kit.ItemQuery): kit.ItemPage {
    const { values } = this;
    const tombstones = this.#tombstones.values();
    const runOfKey = (name: string) => this.#byKey.get(name);
    return kit.itemPage({ values, tombstones, rows: this.#rows.values(), runOfKey }, query);
  }

  assertOwners(items: readonly kit.StoredItem[]): void {
    const hasRun = (id: string) => this.#rows.has(id);
    const hasTombstone = (id: string) => this.#tombstones.has(id);
    kit.assertOwners(items, { hasRun, hasTombstone });
  }

  /** What is there already stays as it is. */
  importRuns(items: readonly kit.StoredItem[]): void {
    for (const item of items) {
      if (item.kind === "value") {
        const { key, value, version } = item;
        if (!this.values.has(key)) this.values.set(key, { value, version });
      } else if (item.kind === "tombstone") {
        if (!this.#tombstones.has(item.id))
          this.#tombstones.set(item.id, kit.importedTombstone(item));
      } else if (item.kind === "key") {
        const tombstone = this.#tombstones.get(item.runId);
        const name = kit.keyName(item);
        if (tombstone === undefined || name === null || this.#byKey.has(name)) continue;
        this.#tombstones.set(item.runId, kit.tombstoneWithKey(tombstone, item));
        this.#byKey.set(name, item.runId);
      } else if (item.kind === "run") {
        if (!this.#rows.has(item.run.id)) this.#insert(kit.importedRun(item), item.key !== null);
      } else {
        this.#importPart(this.get(item.runId), item);
      }
    }
  }

  #importPart(row: Row | undefined, item: kit.TaskItem | kit.SignalItem | kit.LogItem): void {
    if (item.kind === "signal") row?.inbox.restore(item.signal, item.isRead);
    else if (item.kind === "log") row?.log.append([item.line], item.epoch);
    else if (row?.tasks.get(item.task.path) === undefined)
      row?.tasks.put(kit.storedTask(item.task, item.writeId));
  }
}

type Changes = "createRuns" | "claimRuns" | "commit" | "writeValue" | "purge" | "importRuns";
type Calls = Pick<State, Changes>;
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
    capabilities: { limits: true, staleMs: 0, ...largest },
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
      read((state, now) => kit.planClaim(state.all(), request, now).taken.length) > 0
        ? call("claimRuns", request)
        : read((state, now) => state.claimRuns(request, now)),
    commit: async (writes) => (writes.length ? call("commit", writes) : read(() => [])),
    getRuns: async (ids) => read((state) => ids.map(state.run)),
    listTasks: async (runId, afterSeq, byteBudget) =>
      read(({ get }) => (get(runId)?.tasks ?? new kit.TaskTable()).page(afterSeq, byteBudget, 1)),
    listSignals: async (runId) => read((state) => state.get(runId)?.inbox.list() ?? []),
    listWaiting: async (topics, page) =>
      read((state) => kit.waitingPage(state.all(), topics, page)),
    listRuns: async (query) => read((state, now) => kit.runPage(state.all().reverse(), query, now)),
    listLogs: async (runId, page) => read((state) => state.get(runId)?.log.page(page) ?? []),
    countRuns: async () => read((state, now) => kit.countByStatus(state.all(), now)),
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
    exportRuns: async (query) => read((state) => state.exportRuns(query)),
    importRuns: async (items) => {
      // What is in the journal cannot be refused any more.
      read((state) => state.assertOwners(items));
      if (items.length > 0) call("importRuns", items);
    },
  };
}
