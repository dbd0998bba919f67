import type { Key } from "../core/key.js";
import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData, encodeTaskData } from "../core/task-data.js";
import { failOp } from "./io/invoke.js";
import type { Op } from "./op.js";
import type { ScheduleChange } from "./schedule-change.js";
import { type SchedulePlace, schedulePlace, seenOf } from "./schedule-place.js";
import type { Scope } from "./scope.js";

/** Which schedule a task changes, and how. */
export interface ScheduleTaskOptions {
  readonly name: string;
  /** May fail: what a schedule is to be is still the user's. */
  change(): ScheduleChange | Promise<ScheduleChange>;
  /** What the call gives. */
  output(hasChanged: boolean): unknown;
}

/** A registration inside a run, or an end: made once, and remembered. */
export function scheduleTask<T>(scope: Scope, key: Key, options: ScheduleTaskOptions): Promise<T> {
  const { codec } = scope.execution.engine;
  const decode = ({ output }: TaskRecord) => (output === null ? undefined : codec.decode(output));
  return scope.execution.call<T>(scope, key, "schedule", decode, (op, earlier) => {
    new ScheduleTask(op, options).begin(earlier);
  });
}

/**
 * What the task finds is on record before it changes that, and it changes nothing else (E9). If it
 * is not there any more, then the task has changed it in an earlier execution, or somebody else has
 * since, and keeps the last word: so a crash repeats nothing, and neither does a process that was
 * asleep while another one took the run over.
 */
class ScheduleTask {
  readonly #op: Op;
  readonly #options: ScheduleTaskOptions;

  constructor(op: Op, options: ScheduleTaskOptions) {
    this.#op = op;
    this.#options = options;
  }

  begin(earlier: TaskRecord | undefined): void {
    const { found } = decodeTaskData(earlier?.data ?? null);
    if (found === undefined) this.#step((change) => this.#look(change));
    else this.#step((change) => this.#change(change, found));
  }

  #step(work: (change: ScheduleChange) => Promise<void>): void {
    const { execution, isClosed } = this.#op.scope;
    // While leaving nothing starts; the next execution comes by here again.
    if (execution.phase !== "running" || isClosed) return;
    void execution.hold(async () => {
      try {
        await work(await this.#options.change());
      } catch (error) {
        failOp(this.#op, error);
      }
    });
  }

  async #look(change: ScheduleChange): Promise<void> {
    const place = await this.#place();
    if (!change.isNeeded(place)) return this.#complete(false);
    const found = seenOf(place);
    const data = encodeTaskData({ tag: this.#op.scope.tag, found });
    this.#op.scope.execution.record(this.#op, { status: "RUNNING", attempts: 0, data }, () =>
      this.#step((again) => this.#change(again, found)),
    );
  }

  async #change(change: ScheduleChange, found: string): Promise<void> {
    for (;;) {
      const place = await this.#place();
      if (seenOf(place) !== found) return this.#complete(true);
      const answer = await change.apply(place);
      if (answer === "done") return this.#complete(true);
      if (answer === "left") return this.#look(change);
    }
  }

  #place(): Promise<SchedulePlace> {
    return schedulePlace(this.#op.scope.execution.engine, this.#options.name);
  }

  async #complete(hasChanged: boolean): Promise<void> {
    const { execution } = this.#op.scope;
    const output = await execution.engine.codec.encode(this.#options.output(hasChanged));
    execution.record(this.#op, { status: "COMPLETED", attempts: 1, output }, "settle");
  }
}
