import {
  type LogLine,
  type RunRecord,
  type Signal,
  type StoredLogLine,
  WATCH_TOPIC,
} from "../../core/storage.js";
import type { StoredRun } from "../../core/stored-run.js";
import type { Heap } from "./heap.js";
import type { TaskTable } from "./task-table.js";

/** An instant that is indexed for a run apart from its `dueAt`: a deadline, or the lease of a limit slot. */
export interface Timer {
  heapIndex: number;
  at: number;
  readonly row: RunRow;
}

interface InboxEntry extends Signal {
  read: boolean;
}

/** The log lines of one run. */
class RunLog {
  readonly lines: StoredLogLine[] = [];
  readonly #counts = new Map<string, number>();
  readonly #seen = new Set<string>();

  append(line: LogLine, epoch: number): void {
    const mark = `${epoch} ${line.ordinal}`;
    if (this.#seen.has(mark)) return;
    this.#seen.add(mark);
    const { ordinal, stream, path, level, message, data, at } = line;
    const position = this.lines.length + 1;
    this.lines.push({ ordinal, stream, path, level, message, data, at, position, epoch });
    this.#counts.set(stream, (this.#counts.get(stream) ?? 0) + 1);
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** One run, all that belongs to it, and where the indexes have it. */
export class RunRow {
  readonly id: string;
  readonly jobId: string;
  /** Place in the order of creation. */
  readonly order: number;
  /** Replaced by `MemoryData.replace`, which keeps the indexes up to date. */
  stored: StoredRun;

  heapIndex = -1;
  /** The heap that holds the run now: a lane, the future, the finished runs or none. */
  home: Heap<RunRow> | null = null;
  deadline: Timer | null = null;
  slot: Timer | null = null;
  tasks: TaskTable | null = null;
  /** Open event waits in the topic index. */
  waits = 0;
  signals: Map<string, InboxEntry> | null = null;
  log: RunLog | null = null;
  purged = false;

  constructor(stored: StoredRun, order: number) {
    this.id = stored.run.id;
    this.jobId = stored.run.jobId;
    this.order = order;
    this.stored = stored;
  }

  get run(): RunRecord {
    return this.stored.run;
  }

  /** False if it is there already, read or not (S9). */
  addSignal({ id, topic, ref }: Signal): boolean {
    this.signals ??= new Map();
    if (this.signals.has(id)) return false;
    this.signals.set(id, { id, topic, ref, read: false });
    return true;
  }

  /** Answers how many were unread. Watches are never read. */
  markRead(ids: readonly string[]): number {
    let marked = 0;
    for (const id of ids) {
      const entry = this.signals?.get(id);
      if (entry === undefined || entry.read || entry.topic === WATCH_TOPIC) continue;
      entry.read = true;
      marked += 1;
    }
    return marked;
  }

  listSignals(): Signal[] {
    const found: Signal[] = [];
    for (const { id, topic, ref, read } of this.signals?.values() ?? [])
      if (!read) found.push({ id, topic, ref });
    return found;
  }

  writeLog(lines: readonly LogLine[] | undefined, epoch: number): void {
    if (lines === undefined || lines.length === 0) return;
    this.log ??= new RunLog();
    for (const line of lines) this.log.append(line, epoch);
  }

  record(): RunRecord {
    return { ...this.run };
  }
}
