import type { TaskRecord, TaskStatus } from "../../core/storage.js";
import { type PackedColumn, type PackReader, packed } from "./packed.js";
import { unknown } from "./rank.js";

/** For byte budgets, an upper bound of what `taskSize` says, without reading the texts. */
const LEAST_BYTES = 64;
const texts = ["path", "output", "error", "data", "filter"];
const bytes = [LEAST_BYTES, ...texts.map((name) => `coalesce(octet_length(t.${name}), 0)`)];

const columns: readonly PackedColumn[] = [
  { sql: "t.place", isShared: true },
  { sql: "t.seq" },
  { sql: "t.path" },
  { sql: 't.kind collate "C"', isShared: true },
  { sql: 't.status collate "C"', isShared: true },
  { sql: "t.attempts", isShared: true },
  { sql: "t.output" },
  { sql: "t.error" },
  { sql: "t.started_at" },
  { sql: "t.finished_at" },
  { sql: "t.wake_at" },
  { sql: "t.data" },
  { sql: "t.topics" },
  { sql: "t.filter" },
];

const fields =
  "t.seq, t.path, t.kind, t.status, t.attempts, t.output, t.error, t.started_at, t.finished_at, t.wake_at, t.data, array_to_json(t.topics)::text as topics, t.filter";

/**
 * Records of the runs in `rks`, in their order and by seq, as long as all of them fit into the budget: one packed row,
 * read by {@link packedTasksOf}.
 *
 * @param rks an array of row keys, `budget` and `after` numbers, as expressions
 * @param atLeast so many even if they do not fit
 */
export function packedTasks(
  schema: string,
  { rks, after, budget, atLeast }: Record<"rks" | "after" | "budget", string> & { atLeast: 0 | 1 },
): string {
  const most = `limit ${unknown(`${budget} / ${LEAST_BYTES} + 1`)}`;
  const ofRun = `select ${fields}, ${bytes.join(" + ")} as bytes from ${schema}.tasks t where t.rk = u.rk and t.seq > ${after} order by t.seq ${most}`;
  const soFar = "over (order by u.place, t.seq rows unbounded preceding)";
  const all =
    `select u.place, t.*, sum(t.bytes) ${soFar} as bytes_so_far, count(*) ${soFar} as number ` +
    `from unnest(${rks}) with ordinality as u(rk, place) cross join lateral (${ofRun}) as t order by u.place, t.seq ${most}`;
  return `select ${packed(columns)} from (${all}) as t where t.bytes_so_far <= ${budget} or t.number <= ${atLeast}`;
}

/** By the places of their runs, from 1 on. */
export function packedTasksOf(read: PackReader): ReadonlyMap<number, TaskRecord[]> {
  const cells = {
    place: read.numbers(),
    seq: read.numbers(),
    path: read.texts(),
    kind: read.texts(),
    status: read.texts(),
    attempts: read.numbers(),
    output: read.texts(),
    error: read.texts(),
    startedAt: read.numbers(),
    finishedAt: read.numbers(),
    wakeAt: read.numbers(),
    data: read.texts(),
    topics: read.texts(),
    filter: read.texts(),
  };
  const found = new Map<number, TaskRecord[]>();
  for (let n = 0; n < cells.seq.length; n++) {
    const task = {
      path: cells.path.of(n, ""),
      seq: cells.seq.of(n, 0),
      kind: cells.kind.of(n, ""),
      status: cells.status.of(n, "") as TaskStatus,
      attempts: cells.attempts.of(n, 0),
      output: cells.output.at(n),
      error: cells.error.at(n),
      startedAt: cells.startedAt.of(n, 0),
      finishedAt: cells.finishedAt.at(n),
      wakeAt: cells.wakeAt.at(n),
      data: cells.data.at(n),
    };
    const place = cells.place.of(n, 0);
    const ofRun = found.get(place) ?? [];
    if (ofRun.length === 0) found.set(place, ofRun);
    ofRun.push(withWait(task, cells.topics.at(n), cells.filter.at(n)));
  }
  return found;
}

function withWait(task: TaskRecord, topics: string | null, filter: string | null): TaskRecord {
  if (topics === null) return filter === null ? task : { ...task, filter };
  return { ...task, topics: JSON.parse(topics) as string[], filter };
}
