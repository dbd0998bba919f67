import type { CommitResult, RunWrite, TaskWrite } from "../../core/storage.js";
import { arrayText } from "./array.js";
import { joinedAt, joinedTexts } from "./column.js";
import type { Context } from "./context.js";
import type { Parameter } from "./driver.js";
import { isUniqueViolation } from "./failure.js";
import type { Lease } from "./held-runs.js";
import { insertLinesOfHeld, type LineOfWrite, parametersOfHeld } from "./logs.js";
import {
  answerOf,
  isHeld,
  isJoinableWrite,
  isRecordWrite,
  type RecordWrite,
} from "./record-writes.js";
import { formOf } from "./task-row.js";

/** Parameters that come before those of the tasks. */
const OF_WRITES = 5;

/**
 * Records of many runs, which are most of what a busy process writes: one
 * statement, gathered column by column, since what is made for a single task
 * here is made for all.
 *
 * A unique violation undoes the whole statement: then a record is there already,
 * as after a lost answer, and the general way decides what that means.
 */
export class RecordBatch {
  readonly #context: Context;
  readonly #writes: RecordWrite[] = [];
  readonly #leases: Lease[] = [];
  readonly #tasks: TaskWrite[] = [];
  /** Of each task the number of its write, from 1 on. */
  readonly #numbers: number[] = [];
  readonly #lines: LineOfWrite[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  /** False: it is not such a write, or the general way has to find out more. */
  add(write: RunWrite): boolean {
    if (!isRecordWrite(write) || !isJoinableWrite(write)) return false;
    const lease = this.#context.held.of(write.runId, write.guard.epoch);
    if (lease === undefined || !this.#context.paths.areNext(write)) return false;
    const number = this.#writes.push(write);
    this.#leases.push(lease);
    for (const task of write.tasks) {
      this.#tasks.push(task);
      this.#numbers.push(number);
    }
    for (const line of write.logs ?? []) this.#lines.push({ number, line });
    return true;
  }

  /**
   * Answers into `known`. Nothing is written of a write whose guard does not hold, whose run somebody else has locked
   * or of which there is news, and it gets no answer.
   */
  async store(known: Map<RunWrite, CommitResult>): Promise<void> {
    const [first] = this.#tasks;
    if (first === undefined) return;
    try {
      for (const number of await this.#insert(first)) {
        const write = this.#writes[number - 1];
        const lease = this.#leases[number - 1];
        if (write !== undefined && lease !== undefined) known.set(write, answerOf(lease));
      }
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
    }
  }

  /** Answers the numbers of the writes that were stored. */
  async #insert(first: TaskWrite): Promise<number[]> {
    const { driver, schema } = this.#context;
    const form = formOf(first, this.#tasks);
    const logged =
      this.#lines.length === 0
        ? ""
        : `, logged as (${insertLinesOfHeld(schema, OF_WRITES + 1 + form.width)})`;
    const [row] = await driver.query(
      "with held as materialized (select w.number, w.write_id, w.epoch, r.rk " +
        `from unnest(${joinedAt(1)}, ${joinedAt(2)}, $3::integer[], $4::integer[]) with ordinality as w(id, write_id, epoch, inbox, number) ` +
        // One by one: a join might read the whole table, see planByIndexes.
        `cross join lateral (select r.rk from ${schema}.runs r ` +
        `where r.id = w.id and r.epoch = w.epoch and r.inbox = w.inbox and ${isHeld} for share skip locked) as r), ` +
        `added as (insert into ${schema}.tasks (rk, write_id, ${form.columns}) select h.rk, h.write_id, ${form.cells(OF_WRITES + 1)} ` +
        `from ${form.table(OF_WRITES + 1, `$${OF_WRITES}::integer[]`)} join held h on h.number = u.number)${logged} ` +
        // One row: what a client makes of each costs more than its text.
        "select string_agg(h.number::text, ',') from held h",
      [...this.#ofWrites(), ...form.parametersOfMany(first, this.#tasks), ...this.#ofLines()],
    );
    const numbers = row?.[0] ?? "";
    return numbers === "" ? [] : numbers.split(",").map(Number);
  }

  #ofWrites(): Parameter[] {
    return [
      joinedTexts(this.#writes, ({ runId }) => runId),
      joinedTexts(this.#writes, ({ writeId }) => writeId),
      arrayText(this.#leases.map(({ epoch }) => epoch)),
      arrayText(this.#leases.map(({ inbox }) => inbox)),
      arrayText(this.#numbers),
    ];
  }

  #ofLines(): Parameter[] {
    return this.#lines.length === 0 ? [] : parametersOfHeld(this.#lines);
  }
}
