import type {
  ClaimedRun,
  CommitResult,
  RunWrite,
  TaskRecord,
  TaskWrite,
} from "../../core/storage.js";

/** A run counts for this many paths on top of its own. */
const PER_RUN = 8;

/** Which paths of a run have a record, as its holder of one epoch knows it. */
export class PathsOfRun {
  readonly #paths = new Set<string>();
  #lastSeq = 0;

  /** Every record up to this seq is known, given that seqs rise (contract S5). */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  get size(): number {
    return this.#paths.size + PER_RUN;
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  add({ path, seq }: Pick<TaskRecord, "path" | "seq">): void {
    this.#paths.add(path);
    if (seq > this.#lastSeq) this.#lastSeq = seq;
  }

  /** Records at the next seqs, each with a path of its own, which has a record if it is to be replaced. */
  areNext(tasks: readonly TaskWrite[]): boolean {
    let seq = this.#lastSeq;
    for (const task of tasks) {
      const isRecorded = task.replaces !== undefined;
      if (task.seq !== ++seq || this.#paths.has(task.path) !== isRecorded) return false;
    }
    return tasks.length === 1 || new Set(tasks.map(({ path }) => path)).size === tasks.length;
  }
}

interface Known {
  readonly epoch: number;
  readonly paths: PathsOfRun;
  /** Its size when it was counted last. */
  counted: number;
}

/**
 * Which paths have a record, of the runs that this process works on. An index would tell as well, but every task would
 * have to be written into it. Since each record takes the run's next seq (contract S5), what others have written lies
 * above the highest that is known here. Who writes at exactly the next seq meets it there, at the primary key, and needs
 * not ask; for everything else it is read on from there.
 *
 * Only runs that are held or kept are in here, whose executions have the same paths in memory anyway: the bound is for
 * those that were lost unnoticed.
 */
export class RecordedPaths {
  readonly #runs = new Map<string, Known>();
  readonly #most: number;
  #size = 0;

  constructor(most = 1_000_000) {
    this.#most = most;
  }

  of(runId: string, epoch: number): PathsOfRun | undefined {
    const known = this.#runs.get(runId);
    return known?.epoch === epoch ? known.paths : undefined;
  }

  /** Unless somebody else has taken their very seqs, all that is recorded before them is known: they are as they should be. */
  areNext({ runId, guard, tasks = [] }: RunWrite): boolean {
    const { epoch } = guard;
    return epoch !== undefined && (this.of(runId, epoch)?.areNext(tasks) ?? false);
  }

  /** All that is recorded of a run. */
  learn(runId: string, epoch: number, paths: PathsOfRun): void {
    this.forget(runId);
    const known = { epoch, paths, counted: 0 };
    this.#runs.set(runId, known);
    this.#count(runId, known);
  }

  /** Of a run that is kept there is nothing new: nobody else has held it. */
  learnClaimed(runs: readonly ClaimedRun[]): void {
    for (const { run, tasks, tasksComplete, kept } of runs) {
      if (kept || !tasksComplete) continue;
      const paths = new PathsOfRun();
      for (const task of tasks) paths.add(task);
      this.learn(run.id, run.epoch, paths);
    }
  }

  learnFrom({ runId, guard, tasks = [], release }: RunWrite, answer: CommitResult): void {
    const known = this.#runs.get(runId);
    if (answer.result !== "ok" || known === undefined || known.epoch !== guard.epoch) return;
    for (const task of tasks) known.paths.add(task);
    if (answer.leaseUntil !== null) this.#count(runId, known);
    else if (release?.keep !== true) this.forget(runId);
    // It goes on under the epoch that comes next, unless somebody else gets that.
    else this.learn(runId, answer.epoch + 1, known.paths);
  }

  forget(runId: string): void {
    this.#size -= this.#runs.get(runId)?.counted ?? 0;
    this.#runs.delete(runId);
  }

  #count(runId: string, known: Known): void {
    this.#size += known.paths.size - known.counted;
    known.counted = known.paths.size;
    while (this.#size > this.#most && this.#runs.size > 1) this.#forgetAnother(runId);
  }

  /** At random: of runs that are worked on in turns, those that come next would go else. */
  #forgetAnother(runId: string): void {
    const others = [...this.#runs.keys()].filter((id) => id !== runId);
    this.forget(others[Math.floor(Math.random() * others.length)] ?? "");
  }
}
