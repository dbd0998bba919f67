import type { WaitingPage, WaitingTask } from "../../core/storage.js";
import type { Database } from "./database.js";
import type { Row } from "./driver.js";
import { taskJson, taskOf } from "./task-row.js";
import { RowReader } from "./text.js";

/** Joined in this order: from the topic's waits to what each belongs to. */
const selectWaiting =
  `select w.run_id, r.job_id, r.created_at, ${taskJson("t")} from pawl_topics w ` +
  "cross join pawl_runs r on r.rk = w.rk cross join pawl_tasks t on t.rk = w.rk and t.seq = w.seq " +
  "where w.topic = ? and (w.run_id, w.path) > (?, ?) and r.due_at is not null order by w.run_id, w.path limit ?";

/**
 * Open waits on any of the topics by run and path: a page of each topic, merged.
 * The order is SQLite's, by UTF-8, for the place after which a page begins is
 * compared there.
 */
export function listWaiting(
  database: Database,
  topics: readonly string[],
  page: WaitingPage,
): WaitingTask[] {
  const { after, limit } = page;
  const found = new Map<string, { readonly place: Buffer; readonly waiting: WaitingTask }>();
  for (const topic of new Set(topics)) {
    const rows = database.all(selectWaiting, [topic, after?.runId ?? "", after?.path ?? "", limit]);
    for (const row of rows) {
      const waiting = waitingOf(row);
      // U+0000 is in no name, and sorts before all that is.
      const place = `${waiting.runId}\0${waiting.task.path}`;
      found.set(place, { place: Buffer.from(place), waiting });
    }
  }
  const sorted = [...found.values()].sort((a, b) => Buffer.compare(a.place, b.place));
  return sorted.slice(0, limit).map(({ waiting }) => waiting);
}

function waitingOf(row: Row): WaitingTask {
  const read = new RowReader(row);
  const run = { runId: read.string(), jobId: read.string(), createdAt: read.number() };
  return { ...run, task: taskOf(JSON.parse(read.string()) as Row) };
}
