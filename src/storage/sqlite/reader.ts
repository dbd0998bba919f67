import {
  NEVER,
  type RunRecord,
  type Signal,
  type StoredLogLine,
  type TaskPage,
  type TaskRecord,
} from "../../core/storage.js";
import type { Database } from "./database.js";
import type { Row, SqlValue } from "./driver.js";
import { recordJson, recordOf } from "./run-row.js";
import { selectTask, selectTaskPage, taskBytes, taskOf } from "./task-row.js";
import { firstNumber, RowReader, stringAt } from "./text.js";

const selectRun = `select ${recordJson} from pawl_runs where id = ?`;

const FIRST_PAGE = 16;
const LARGEST_PAGE = 128;

/** Ordinals of one epoch lie below this, so that one number tells both. */
const ORDINALS = 2 ** 24;

/** Reads of single runs and what belongs to them. */
export class RunReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  run(id: string): RunRecord | undefined {
    const row = this.#database.get(selectRun, [id]);
    return row === undefined ? undefined : recordOf(new RowReader(row).string());
  }

  rowKey(id: string): number | undefined {
    return firstNumber(this.#database.get("select rk from pawl_runs where id = ?", [id]));
  }

  /**
   * Reads on until the budget is spent. A driver answers all rows of a query at
   * once, and a single output may have megabytes: so pages start small and grow
   * with what the rows so far turned out to take.
   */
  tasks(rk: number, afterSeq: number, byteBudget: number, atLeast = 1): TaskPage {
    const tasks: TaskRecord[] = [];
    let left = byteBudget;
    let last = afterSeq;
    let page = FIRST_PAGE;
    for (;;) {
      const rows = this.#page(rk, last, page);
      let isStale = false;
      for (const row of rows) {
        const found = typeof row === "number" ? this.#large(rk, row) : row;
        isStale = found === undefined;
        if (found === undefined) break;
        const task = taskOf(found);
        left -= taskBytes(task);
        if (left < 0 && tasks.length >= atLeast) return { tasks, complete: false };
        tasks.push(task);
        last = task.seq;
      }
      // Replaced or purged since the page was read: what is there now comes with the next one.
      if (isStale) continue;
      if (rows.length < page) return { tasks, complete: true };
      const average = Math.max(1, (byteBudget - left) / tasks.length);
      page = Math.max(FIRST_PAGE, Math.min(LARGEST_PAGE, page * 4, Math.ceil(left / average) + 1));
    }
  }

  /** Records as rows; of a large one only its seq. */
  #page(rk: number, afterSeq: number, limit: number): (Row | number)[] {
    return this.#json(selectTaskPage, [rk, afterSeq, limit]) as (Row | number)[];
  }

  #large(rk: number, seq: number): Row | undefined {
    return this.#json(selectTask, [rk, seq]) as Row | undefined;
  }

  #json(sql: string, values: readonly SqlValue[]): unknown {
    const row = this.#database.get(sql, values);
    return row === undefined ? undefined : JSON.parse(stringAt(row, 0));
  }

  signals(rk: number): Signal[] {
    const rows = this.#database.all(
      "select id, topic, ref from pawl_signals where rk = ? and unread = 1 order by position",
      [rk],
    );
    return rows.map((row) => {
      const read = new RowReader(row);
      return { id: read.string(), topic: read.string(), ref: read.textOrNull() };
    });
  }

  /** Of each run the lines by stream; runs without any are left out. */
  logCounts(rks: readonly number[]): Map<number, Record<string, number>> {
    const found = new Map<number, Record<string, number>>();
    const rows = this.#database.all(
      "select rk, stream, count(*) from pawl_logs where rk in (select value from json_each(?)) group by rk, stream",
      [JSON.stringify(rks)],
    );
    for (const row of rows) {
      const read = new RowReader(row);
      const rk = read.number();
      const counts = found.get(rk) ?? {};
      found.set(rk, counts);
      // Streams are named by users: "__proto__" is a name like any other.
      Object.defineProperty(counts, read.string(), {
        value: read.number(),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return found;
  }

  logs(rk: number, page: { after?: number; limit: number }): StoredLogLine[] {
    const after = page.after ?? -1;
    const epoch = Math.floor(after / ORDINALS);
    const rows = this.#database.all(
      "select epoch, ordinal, stream, path, level, message, data, at from pawl_logs " +
        "where rk = ? and (epoch, ordinal) > (?, ?) order by epoch, ordinal limit ?",
      [rk, epoch, after < 0 ? NEVER : after - epoch * ORDINALS, page.limit],
    );
    return rows.map((row) => {
      const read = new RowReader(row);
      const line = { epoch: read.number(), ordinal: read.number() };
      return {
        ...line,
        position: line.epoch * ORDINALS + line.ordinal,
        stream: read.string(),
        path: read.string(),
        level: read.string(),
        message: read.text(),
        data: read.textOrNull(),
        at: read.number(),
      };
    });
  }
}
