import type {
  LogLine,
  NewRun,
  RunGuard,
  RunPatch,
  RunWrite,
  TaskWrite,
  ValueWrite,
  Watch,
} from "../core/storage.js";
import type { Op } from "./op.js";

/** What came of a write with comparisons. "over": the execution was, before it was known. */
export type Answer = "ok" | "conflict" | "over";

/** What goes with some writes only. */
interface Extras {
  readonly runs: NewRun[];
  readonly watches: Watch[];
  readonly logs: LogLine[];
  readonly signalsRead: string[];
  readonly values: ValueWrite[];
  readonly onDurable: (() => void)[];
  readonly onRefused: (() => void)[];
  answered?: (answer: Answer) => void;
}

/**
 * What an execution has decided and not yet sent. One element of the next
 * batch. Nearly always a task record and nothing else, so the rest is made on
 * first use.
 */
export class PendingWrite {
  readonly tasks: TaskWrite[] = [];
  /** Operations that settle once this is durable. */
  readonly settles: Op[] = [];
  patch: RunPatch | undefined;
  #extras: Extras | undefined;

  get runs(): NewRun[] {
    return this.#more().runs;
  }

  get watches(): Watch[] {
    return this.#more().watches;
  }

  get logs(): LogLine[] {
    return this.#more().logs;
  }

  get signalsRead(): string[] {
    return this.#more().signalsRead;
  }

  get values(): ValueWrite[] {
    return this.#more().values;
  }

  get onDurable(): (() => void)[] {
    return this.#more().onDurable;
  }

  /** Hear of it if a comparison refused this. */
  get onRefused(): (() => void)[] {
    return this.#more().onRefused;
  }

  /** Of a write that compares values: hears what came of it. */
  get answered(): ((answer: Answer) => void) | undefined {
    return this.#extras?.answered;
  }

  /** Says what came of it, once; without comparisons there is nobody to tell. */
  answer(answer: Answer): void {
    const { answered } = this;
    if (answered === undefined) return;
    delete this.#more().answered;
    answered(answer);
  }

  onAnswer(answered: (answer: Answer) => void): void {
    this.#more().answered = answered;
  }

  #more(): Extras {
    this.#extras ??= {
      runs: [],
      watches: [],
      logs: [],
      signalsRead: [],
      values: [],
      onDurable: [],
      onRefused: [],
    };
    return this.#extras;
  }

  get isAwaited(): boolean {
    return this.settles.length > 0 || (this.#extras?.onDurable.length ?? 0) > 0;
  }

  /** A start mark alone is none (E10). */
  get hasProgress(): boolean {
    return this.tasks.some(({ status }) => status !== "RUNNING");
  }

  tellDurable(): void {
    for (const next of this.#extras?.onDurable ?? []) next();
  }

  has(seq: number): boolean {
    return this.tasks.some((task) => task.seq === seq);
  }

  /** A record that was not sent yet gives way to its successor. Answers what that one replaces. */
  supersede(path: string, seq: number): number | undefined {
    const index = this.tasks.findIndex((task) => task.path === path && task.seq === seq);
    if (index < 0) return seq;
    const [removed] = this.tasks.splice(index, 1);
    return removed?.replaces;
  }

  /** A write of all this, without the parts that are empty. */
  toWrite(runId: string, writeId: string, guard: RunGuard): MutableWrite {
    const { tasks, patch } = this;
    const write: MutableWrite =
      tasks.length > 0 ? { runId, writeId, guard, tasks } : { runId, writeId, guard };
    if (patch !== undefined) write.run = patch;
    if (this.#extras !== undefined) addExtras(write, this.#extras);
    return write;
  }
}

type MutableWrite = { -readonly [K in keyof RunWrite]: RunWrite[K] };

function addExtras(
  write: MutableWrite,
  { runs, watches, logs, signalsRead, values }: Extras,
): void {
  if (runs.length > 0) write.runs = runs;
  if (watches.length > 0) write.watches = watches;
  if (logs.length > 0) write.logs = logs;
  if (signalsRead.length > 0) write.signalsRead = signalsRead;
  if (values.length > 0) write.values = values;
}
