import { isFinal } from "./run-status.js";
import {
  type ClaimedRun,
  type LogLine,
  type RunRecord,
  type Signal,
  type StoredLogLine,
  type TaskPage,
  type TaskRecord,
  type TaskWrite,
  WATCH_TOPIC,
  type WaitingPage,
  type WaitingTask,
} from "./storage.js";
import type { StoredRun } from "./stored-run.js";

// What belongs to one run, for adapters that have it in memory.

export interface StoredTask extends TaskRecord {
  readonly writeId: string;
}

/** Below this many tasks a run is searched from end to end: a map costs more than it saves. */
const mapThreshold = 8;

/** A task record as it is kept; a write is known by its id when it is repeated (S4). */
export function storedTask(task: TaskWrite, writeId: string): StoredTask {
  return {
    path: task.path,
    seq: task.seq,
    kind: task.kind,
    status: task.status,
    attempts: task.attempts,
    output: task.output,
    error: task.error,
    startedAt: task.startedAt,
    finishedAt: task.finishedAt,
    wakeAt: task.wakeAt,
    data: task.data,
    topics: task.topics === undefined ? undefined : [...task.topics],
    filter: task.filter,
    writeId,
  };
}

/** What is answered of it. */
export function taskRecord(task: StoredTask): TaskRecord {
  const { writeId: _, topics, filter, ...record } = task;
  return {
    ...record,
    ...(topics === undefined ? {} : { topics: [...topics] }),
    ...(filter === undefined ? {} : { filter }),
  };
}

/** For byte budgets, which are approximate: UTF-16 units and a flat sum for the small fields. */
export function taskSize({ path, output, error, data, filter }: TaskRecord): number {
  const texts = [path, output, error, data, filter];
  return texts.reduce<number>((size, text) => size + (text?.length ?? 0), 64);
}

/** The task records of one run: by path, and ascending by seq. */
export class TaskTable {
  readonly #bySeq: StoredTask[] = [];
  #byPath: Map<string, StoredTask> | undefined;

  /** 0 if there is none. */
  get highestSeq(): number {
    return this.#bySeq[this.#bySeq.length - 1]?.seq ?? 0;
  }

  all(): readonly StoredTask[] {
    return this.#bySeq;
  }

  get(path: string): StoredTask | undefined {
    if (this.#byPath !== undefined) return this.#byPath.get(path);
    for (const task of this.#bySeq) if (task.path === path) return task;
    return undefined;
  }

  hasSeq(seq: number): boolean {
    return seq <= this.highestSeq && this.#bySeq[this.#indexOf(seq)]?.seq === seq;
  }

  /** Answers the record of the same path that this one replaces. */
  put(task: StoredTask): StoredTask | undefined {
    const tasks = this.#bySeq;
    const replaced = this.get(task.path);
    if (replaced !== undefined) tasks.splice(this.#indexOf(replaced.seq), 1);
    if (task.seq > this.highestSeq) tasks.push(task);
    else tasks.splice(this.#indexOf(task.seq), 0, task);
    if (this.#byPath !== undefined) this.#byPath.set(task.path, task);
    else if (tasks.length > mapThreshold)
      this.#byPath = new Map(tasks.map((each) => [each.path, each]));
    return replaced;
  }

  /** Records after `afterSeq` while they fit, `atLeast` of them even if they do not. */
  page(afterSeq: number, byteBudget: number, atLeast: 0 | 1): TaskPage {
    const later = this.#bySeq.slice(this.#indexOf(afterSeq + 1));
    let left = byteBudget;
    const end = later.findIndex((task, at) => {
      left -= taskSize(task);
      return left < 0 && at >= atLeast;
    });
    const fitting = end === -1 ? later : later.slice(0, end);
    return { tasks: fitting.map(taskRecord), complete: end === -1 };
  }

  /** The first place whose seq is not smaller. */
  #indexOf(seq: number): number {
    let low = 0;
    let high = this.#bySeq.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Number(this.#bySeq[middle]?.seq) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Signals and watches of one run. Those that were read stay: none comes twice (S9). */
export class Inbox {
  readonly #signals = new Map<string, Signal & { isRead: boolean }>();

  /** False if it is there already, read or not. */
  add({ id, topic, ref }: Signal): boolean {
    if (this.#signals.has(id)) return false;
    this.#signals.set(id, { id, topic, ref, isRead: false });
    return true;
  }

  /** As it was in another store. False if it is there already. */
  restore(signal: Signal, isRead: boolean): boolean {
    if (!this.add(signal)) return false;
    if (isRead) this.markRead([signal.id]);
    return true;
  }

  get size(): number {
    return this.#signals.size;
  }

  /** Also what was read, oldest first. */
  all(): (Signal & { readonly isRead: boolean })[] {
    return [...this.#signals.values()].map((entry) => ({ ...entry }));
  }

  /** Answers how many were unread. Watches are never read. */
  markRead(ids: readonly string[]): number {
    let marked = 0;
    for (const id of ids) {
      const entry = this.#signals.get(id);
      if (entry === undefined || entry.isRead || entry.topic === WATCH_TOPIC) continue;
      entry.isRead = true;
      marked += 1;
    }
    return marked;
  }

  /** What is unread, and watches, oldest first. */
  list(): Signal[] {
    const found: Signal[] = [];
    for (const { id, topic, ref, isRead } of this.#signals.values())
      if (!isRead) found.push({ id, topic, ref });
    return found;
  }
}

/** The log lines of one run, each once by epoch and ordinal. */
export class RunLog {
  readonly #lines: StoredLogLine[] = [];
  readonly #counts = new Map<string, number>();
  readonly #seen = new Set<string>();

  append(lines: readonly LogLine[], epoch: number): void {
    for (const line of lines) this.#append(line, epoch);
  }

  #append(line: LogLine, epoch: number): void {
    const mark = `${epoch} ${line.ordinal}`;
    if (this.#seen.has(mark)) return;
    this.#seen.add(mark);
    const { ordinal, stream, path, level, message, data, at } = line;
    const position = this.#lines.length + 1;
    this.#lines.push({ ordinal, stream, path, level, message, data, at, position, epoch });
    this.#counts.set(stream, (this.#counts.get(stream) ?? 0) + 1);
  }

  get size(): number {
    return this.#lines.length;
  }

  page({ after = 0, limit }: { readonly after?: number; readonly limit: number }): StoredLogLine[] {
    return this.#lines.slice(after, after + limit).map((line) => ({ ...line }));
  }

  /** By stream. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** What belongs to a run; what it has none of may be left out. */
export interface RunTables {
  readonly tasks: TaskTable | null;
  readonly inbox: Inbox | null;
  readonly log: RunLog | null;
}

/** What a claim answers of a run that it took. */
export function claimAnswer(
  { stored, tasks, inbox, log }: RunTables & { readonly stored: StoredRun },
  taskBudget: number,
): ClaimedRun {
  const kept = stored.claim?.kept === true;
  const page = kept ? undefined : tasks?.page(0, taskBudget, 0);
  return {
    run: { ...stored.run },
    signals: inbox?.list() ?? [],
    tasks: page?.tasks ?? [],
    tasksComplete: page?.complete ?? true,
    kept,
    logCounts: (kept ? undefined : log?.counts()) ?? {},
  };
}

export function isOpenWait({ status, topics = [] }: TaskRecord): boolean {
  return status === "WAITING" && topics.length > 0;
}

/** What `listWaiting` answers, by a look at each of `rows`: for a store without an index of topics. */
export function waitingPage(
  rows: readonly { readonly stored: StoredRun; readonly tasks: TaskTable }[],
  topics: readonly string[],
  { after, limit }: WaitingPage,
): WaitingTask[] {
  return rows
    .filter(({ stored }) => !isFinal(stored.run.status))
    .flatMap(({ stored, tasks }) => waitsOn(topics, tasks).map((task) => ({ stored, task })))
    .map(({ stored, task }) => ({ stored, task, runId: stored.run.id, path: task.path }))
    .filter((place) => after === undefined || waitOrder(place, after) > 0)
    .sort(waitOrder)
    .slice(0, limit)
    .map(({ stored, task }) => waitingTask(stored.run, task));
}

function waitsOn(topics: readonly string[], tasks: TaskTable): StoredTask[] {
  const isAsked = (topic: string) => topics.includes(topic);
  return tasks.all().filter((task) => isOpenWait(task) && task.topics?.some(isAsked));
}

type Place = Readonly<{ runId: string; path: string }>;

/** Compares by the stable order of `listWaiting`. */
export function waitOrder(a: Place, b: Place): number {
  if (a.runId !== b.runId) return a.runId < b.runId ? -1 : 1;
  if (a.path === b.path) return 0;
  return a.path < b.path ? -1 : 1;
}

/** A wait as it is answered. */
export function waitingTask(run: RunRecord, task: StoredTask): WaitingTask {
  const { id: runId, jobId, createdAt } = run;
  return { runId, jobId, createdAt, task: taskRecord(task) };
}
