import type { TaskRecord, TaskWrite } from "../../core/storage.js";
import { tasksWithin } from "../../core/stored-data.js";

export interface StoredTask extends TaskRecord {
  readonly writeId: string;
}

/** Below this many tasks a run is searched from end to end: a map costs more than it saves. */
const mapThreshold = 8;

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

export function taskRecord(task: StoredTask): TaskRecord {
  const { writeId: _, topics, filter, ...record } = task;
  return {
    ...record,
    ...(topics === undefined ? {} : { topics: [...topics] }),
    ...(filter === undefined ? {} : { filter }),
  };
}

/** The task records of one run: by path, and ascending by seq. */
export class TaskTable {
  readonly #bySeq: StoredTask[] = [];
  #byPath: Map<string, StoredTask> | undefined;

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

  put(task: StoredTask, replaced: StoredTask | undefined): void {
    const tasks = this.#bySeq;
    if (replaced !== undefined) tasks.splice(this.#indexOf(replaced.seq), 1);
    if (task.seq > this.highestSeq) tasks.push(task);
    else tasks.splice(this.#indexOf(task.seq), 0, task);
    if (this.#byPath !== undefined) this.#byPath.set(task.path, task);
    else if (tasks.length > mapThreshold)
      this.#byPath = new Map(tasks.map((each) => [each.path, each]));
  }

  /** Records after `afterSeq` while they fit, `atLeast` of them even if they do not. */
  page(afterSeq: number, byteBudget: number, atLeast: 0 | 1): StoredTask[] {
    return tasksWithin(this.#bySeq.slice(this.#indexOf(afterSeq + 1)), byteBudget, atLeast);
  }

  /** The first place whose seq is not smaller. */
  #indexOf(seq: number): number {
    let low = 0;
    let high = this.#bySeq.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#bySeq[middle]?.seq ?? seq) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Of a run that has recorded nothing yet. */
export const noTasks = new TaskTable();
