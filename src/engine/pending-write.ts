import type {
  LogLine,
  NewRun,
  RunPatch,
  RunWrite,
  TaskWrite,
  ValueWrite,
  Watch,
} from "../core/storage.js";

/** What an execution has decided and not yet sent. One element of the next batch. */
export class PendingWrite {
  readonly tasks: TaskWrite[] = [];
  readonly runs: NewRun[] = [];
  readonly watches: Watch[] = [];
  readonly logs: LogLine[] = [];
  readonly signalsRead: string[] = [];
  readonly values: ValueWrite[] = [];
  readonly onDurable: (() => void)[] = [];
  patch: RunPatch | undefined;

  /** A record that was not sent yet gives way to its successor. Answers what that one replaces. */
  supersede(path: string, seq: number): number | undefined {
    const index = this.tasks.findIndex((task) => task.path === path && task.seq === seq);
    if (index < 0) return seq;
    const [removed] = this.tasks.splice(index, 1);
    return removed?.replaces;
  }

  /** The parts of a RunWrite, without those that are empty. */
  parts(): Partial<RunWrite> {
    const parts: { -readonly [K in keyof RunWrite]?: RunWrite[K] } = {};
    if (this.tasks.length > 0) parts.tasks = this.tasks;
    if (this.runs.length > 0) parts.runs = this.runs;
    if (this.watches.length > 0) parts.watches = this.watches;
    if (this.logs.length > 0) parts.logs = this.logs;
    if (this.signalsRead.length > 0) parts.signalsRead = this.signalsRead;
    if (this.values.length > 0) parts.values = this.values;
    if (this.patch !== undefined) parts.run = this.patch;
    return parts;
  }
}
