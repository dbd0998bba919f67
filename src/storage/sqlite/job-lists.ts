import type { Database } from "./database.js";

/** A worker has three at a time, and others once its jobs change; then all are written anew now and then. */
const MOST_LISTS = 16;

/** Seen by its connection only, and kept in memory. */
export const createJobLists =
  "create temp table if not exists pawl_job_lists (list integer not null, job_id text not null, " +
  "primary key (list, job_id)) without rowid";

const selectWritten = "select 1 from temp.pawl_job_lists where list = ? limit 1";
const insertList =
  "insert or ignore into temp.pawl_job_lists (list, job_id) select ?, value from json_each(?)";

/**
 * The jobs that claims name, as rows: where there are a thousand, unpacking them from a JSON text
 * costs each statement of a claim more than all the rest.
 */
export class JobLists {
  readonly #database: Database;
  readonly #numbers = new Map<string, number>();
  #last = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Under which number the rows are there. Each claim asks anew: a rollback undoes what it wrote. */
  numberOf(jobIds: readonly string[]): number {
    const text = JSON.stringify(jobIds);
    const number = this.#numbers.get(text) ?? this.#add(text);
    if (this.#database.get(selectWritten, [number]) === undefined)
      this.#database.run(insertList, [number, text]);
    return number;
  }

  #add(text: string): number {
    if (this.#numbers.size === MOST_LISTS) {
      this.#numbers.clear();
      this.#database.run("delete from temp.pawl_job_lists");
    }
    this.#last++;
    this.#numbers.set(text, this.#last);
    return this.#last;
  }
}
