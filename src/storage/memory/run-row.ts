import { isFinal, type StoredStatus } from "../../core/run-status.js";
import type { LogLine, NewRun, RunRecord, Signal, StoredLogLine } from "../../core/storage.js";
import { NEVER, WATCH_TOPIC } from "../../core/storage.js";
import type { Heap } from "./heap.js";
import type { TaskTable } from "./task-table.js";

const none: readonly string[] = Object.freeze([]);

export function frozenCopy(list: readonly string[] | undefined): readonly string[] {
  if (list === undefined || list.length === 0) return none;
  return Object.freeze(list.length === 1 ? [...list] : [...new Set(list)]);
}

/** The runs of one claim, for its repetition; forgotten when none of them is held any more. */
export interface ClaimTicket {
  readonly claimId: string;
  readonly rows: readonly RunRow[];
  readonly kept: ReadonlySet<RunRow>;
  held: number;
}

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

/** One run and all that belongs to it. Its columns change only through the tables in `data.ts`. */
export class RunRow {
  readonly id: string;
  readonly jobId: string;
  /** Place in the order of creation. */
  readonly order: number;
  readonly createId: string | null;
  version: string;
  status: StoredStatus;
  epoch = 0;
  generation = 1;
  workerId: string | null = null;
  leaseUntil: number | null = null;
  dueAt: number | null = null;
  wakeAt: number;
  /** A run that has not started yet is not hurried by signals. */
  wakeSignals = 0;
  keep = false;
  deadlineAt: number | null;
  maxDurationMs: number | null;
  priority: number;
  limitKeys: readonly string[];
  payload: string | null;
  admitted: string | null;
  output: string | null;
  error: string | null;
  blocked: string | null = null;
  executionCount = 0;
  stalls = 0;
  lastSeq = 0;
  inbox = 0;
  unread = 0;
  tags: readonly string[];
  readonly eventId: string | null;
  readonly parentId: string | null;
  readonly parentPath: string | null;
  readonly idempotencyKey: string | null;
  readonly keyExpiresAt: number;
  readonly fingerprint: string | null;
  readonly isTest: boolean;
  readonly createdAt: number;
  startedAt: number | null = null;
  finishedAt: number | null;
  meta: string | null;
  state: string | null;
  writeId: string | null = null;

  heapIndex = -1;
  /** The heap that holds the run now: a lane, the future, the finished runs or none. */
  home: Heap<RunRow> | null = null;
  deadline: Timer | null = null;
  slot: Timer | null = null;
  ticket: ClaimTicket | null = null;
  tasks: TaskTable | null = null;
  /** Open event waits in the topic index. */
  waits = 0;
  signals: Map<string, InboxEntry> | null = null;
  log: RunLog | null = null;
  purged = false;

  constructor(run: NewRun, order: number, createId: string | null, now: number) {
    this.id = run.id;
    this.jobId = run.jobId;
    this.order = order;
    this.createId = createId;
    this.version = run.version;
    this.status = run.status;
    this.wakeAt = run.wakeAt ?? NEVER;
    this.deadlineAt = isFinal(run.status) ? null : (run.deadlineAt ?? null);
    this.maxDurationMs = run.maxDurationMs ?? null;
    this.priority = run.priority ?? 0;
    this.limitKeys = frozenCopy(run.limitKeys);
    this.payload = run.payload;
    this.admitted = run.admitted ?? null;
    this.output = run.output ?? null;
    this.error = run.error ?? null;
    this.tags = frozenCopy(run.tags);
    this.eventId = run.eventId ?? null;
    this.parentId = run.parentId ?? null;
    this.parentPath = run.parentPath ?? null;
    this.idempotencyKey = run.idempotencyKey ?? null;
    this.keyExpiresAt = run.idempotencyExpiresAt ?? NEVER;
    this.fingerprint = run.fingerprint ?? null;
    this.isTest = run.isTest ?? false;
    this.createdAt = now;
    this.finishedAt = isFinal(run.status) ? now : null;
    this.meta = run.meta ?? null;
    this.state = run.state ?? null;
  }

  /** False if it is there already, read or not (S9). */
  addSignal(signal: Signal): boolean {
    this.signals ??= new Map();
    if (this.signals.has(signal.id)) return false;
    const { id, topic, ref } = signal;
    this.signals.set(id, { id, topic, ref, read: false });
    this.inbox += 1;
    if (topic !== WATCH_TOPIC) this.unread += 1;
    return true;
  }

  markRead(ids: readonly string[]): void {
    for (const id of ids) {
      const entry = this.signals?.get(id);
      if (entry === undefined || entry.read || entry.topic === WATCH_TOPIC) continue;
      entry.read = true;
      this.unread -= 1;
    }
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
    return {
      id: this.id,
      jobId: this.jobId,
      version: this.version,
      status: this.status,
      epoch: this.epoch,
      generation: this.generation,
      workerId: this.workerId,
      leaseUntil: this.leaseUntil,
      dueAt: this.dueAt,
      deadlineAt: this.deadlineAt,
      maxDurationMs: this.maxDurationMs,
      priority: this.priority,
      limitKeys: this.limitKeys,
      payload: this.payload,
      admitted: this.admitted,
      output: this.output,
      error: this.error,
      blocked: this.blocked,
      executionCount: this.executionCount,
      stalls: this.stalls,
      lastSeq: this.lastSeq,
      inbox: this.inbox,
      tags: this.tags,
      eventId: this.eventId,
      parentId: this.parentId,
      parentPath: this.parentPath,
      idempotencyKey: this.idempotencyKey,
      fingerprint: this.fingerprint,
      isTest: this.isTest,
      createdAt: this.createdAt,
      startedAt: this.startedAt,
      finishedAt: this.finishedAt,
      meta: this.meta,
      state: this.state,
    };
  }
}
