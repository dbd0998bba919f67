import type { CommitResult, RunWrite } from "../../src/core/storage.js";

interface Entry {
  executions: number;
  /** Output text of the record, once the store has it. */
  recorded?: string | null;
}

/** What really happened, written down outside of the library: executions of tasks, and records that the store took. */
export class Ledger {
  /** By task id: `<run id>/<path>`. */
  readonly #tasks = new Map<string, Entry>();
  readonly #notes = new Map<string, number>();
  readonly #running = new Map<string, Set<string>>();
  readonly #throttled = new Map<string, Map<number, number>>();
  readonly violations: string[] = [];

  /** A callback starts. */
  started(taskId: string): void {
    const entry = this.#entry(taskId);
    if ("recorded" in entry)
      this.violations.push(`task ${taskId} was executed again after it was recorded`);
    entry.executions++;
  }

  committed(writes: readonly RunWrite[], results: readonly CommitResult[]): void {
    for (const [index, { runId, tasks = [], values = [] }] of writes.entries()) {
      if (results[index]?.result !== "ok") continue;
      for (const { key, value } of values) this.#valueWritten(key, value);
      for (const { path, status, output } of tasks) {
        if (status === "COMPLETED") this.#recorded(`${runId}/${path}`, output);
      }
    }
  }

  /** Starts that are too old to count are forgotten by the store, and kept here. */
  #valueWritten(key: string, value: string | null): void {
    if (!/^flow:.*\/throttle\//.test(key)) return;
    const { starts } = JSON.parse(value ?? "{}") as { starts: [at: number, count: number][] };
    const known = this.#throttled.get(key) ?? new Map();
    this.#throttled.set(key, known);
    for (const [at, count] of starts) known.set(at, Math.max(count, known.get(at) ?? 0));
  }

  #recorded(taskId: string, output: string | null): void {
    const entry = this.#entry(taskId);
    if ("recorded" in entry && entry.recorded !== output)
      this.violations.push(`the record of task ${taskId} was changed`);
    entry.recorded = output;
  }

  /** What the store has of a run at the end is what it once acknowledged. */
  assertKept(runId: string, completed: ReadonlyMap<string, string | null>): void {
    for (const [taskId, entry] of this.#tasks) {
      if (!("recorded" in entry) || !taskId.startsWith(`${runId}/`)) continue;
      const path = taskId.slice(runId.length + 1);
      if (completed.get(path) !== entry.recorded)
        throw new Error(`the record of task ${taskId} is lost or was changed`);
    }
  }

  #entry(taskId: string): Entry {
    const entry = this.#tasks.get(taskId) ?? { executions: 0 };
    this.#tasks.set(taskId, entry);
    return entry;
  }

  *executions(): Generator<{ taskId: string; runId: string; path: string; count: number }> {
    for (const [taskId, { executions: count }] of this.#tasks) {
      const slash = taskId.indexOf("/");
      if (count > 0)
        yield { taskId, runId: taskId.slice(0, slash), path: taskId.slice(slash + 1), count };
    }
  }

  executionsOf(taskId: string): number {
    return this.#tasks.get(taskId)?.executions ?? 0;
  }

  /** Anything else that is worth counting: a hook, an acknowledged command. */
  note(what: string): void {
    this.#notes.set(what, this.noted(what) + 1);
  }

  noted(what: string): number {
    return this.#notes.get(what) ?? 0;
  }

  notes(prefix: string): string[] {
    return [...this.#notes.keys()].filter((what) => what.startsWith(prefix));
  }

  /** The numbers that notes of one kind end with, ascending. */
  notedTimes(prefix: string): number[] {
    return [...this.#notes]
      .filter(([what]) => what.startsWith(prefix))
      .flatMap(([what, count]) => new Array<number>(count).fill(Number(what.slice(prefix.length))))
      .sort((a, b) => a - b);
  }

  /** Every start that the throttle of a job, without a key, has let through, ascending. */
  throttledStarts(jobId: string): number[] {
    const starts = [...(this.#throttled.get(`flow:${jobId}/throttle/`) ?? [])];
    return starts.flatMap(([at, count]) => new Array<number>(count).fill(at)).sort((a, b) => a - b);
  }

  /** Code that must not run beside more than `limit - 1` others. */
  enter(group: string, member: string, limit: number): () => void {
    const members = this.#running.get(group) ?? new Set();
    this.#running.set(group, members);
    members.add(member);
    if (members.size > limit)
      this.violations.push(`${members.size} of "${group}" at a time: ${[...members].join(", ")}`);
    return () => members.delete(member);
  }

  /** What a dead process was doing is done by nobody now. */
  died(processName: string): void {
    for (const members of this.#running.values()) {
      for (const member of members)
        if (member.startsWith(`${processName} `)) members.delete(member);
    }
  }
}
