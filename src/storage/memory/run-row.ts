import type { Inbox, RunLog, TaskTable } from "../../core/run-tables.js";
import type { RunRecord } from "../../core/storage.js";
import type { StoredRun } from "../../core/stored-run.js";
import type { Heap } from "./heap.js";

/** An instant that is indexed for a run apart from its `dueAt`: a deadline, or the lease of a limit slot. */
export interface Timer {
  heapIndex: number;
  at: number;
  readonly row: RunRow;
}

/** One run, all that belongs to it, and where the indexes have it. */
export class RunRow {
  readonly id: string;
  readonly jobId: string;
  /** Place in the order of creation. */
  readonly order: number;
  /** Replaced by `MemoryData.replace`, which keeps the indexes up to date. */
  stored: StoredRun;
  /** That of `stored`: at hand, since the indexes compare by it. */
  run: RunRecord;

  heapIndex = -1;
  /** The heap that holds the run now: a lane, the future, the finished runs or none. */
  home: Heap<RunRow> | null = null;
  deadline: Timer | null = null;
  slot: Timer | null = null;
  /** Most runs have only some of these. */
  tasks: TaskTable | null = null;
  inbox: Inbox | null = null;
  log: RunLog | null = null;
  /** Open event waits in the topic index. */
  waits = 0;
  purged = false;

  constructor(stored: StoredRun, order: number) {
    this.id = stored.run.id;
    this.jobId = stored.run.jobId;
    this.order = order;
    this.stored = stored;
    this.run = stored.run;
  }

  record(): RunRecord {
    return { ...this.run };
  }
}
