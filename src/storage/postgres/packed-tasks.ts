import type { TaskRecord, TaskStatus } from "../../core/storage.js";
import { type PackedColumn, type PackReader, packed } from "./packed.js";
import { unknown } from "./rank.js";

/** For byte budgets, an upper bound of what `taskSize` says, without reading the texts. */
const LEAST_BYTES = 64;
const texts = ["path", "output", "error", "data", "filter"];
const bytes = [LEAST_BYTES, ...texts.map((name) => `coalesce(octet_length(t.${name}), 0)`)];

/** Most records are of tasks that were completed in their first attempt, and have nothing in these columns. */
const isUsual =
  "t.kind = 'task' and t.status = 'COMPLETED' and t.attempts = 1 and num_nonnulls(t.error, t.wake_at, t.data, t.topics, t.filter) = 0";
/** Of the others, in one column, as {@link Unusual}. */
const unusual = `case when ${isUsual} then null else json_build_array(t.kind, t.status, t.attempts, t.error, t.wake_at, t.data, t.topics, t.filter)::text end`;

type Unusual = readonly [
  kind: string,
  status: TaskStatus,
  attempts: number,
  error: string | null,
  wakeAt: number | null,
  data: string | null,
  topics: readonly string[] | null,
  filter: string | null,
];

const columns: readonly PackedColumn[] = [
  { sql: "t.place", isShared: true },
  { sql: "t.seq" },
  { sql: "t.path" },
  { sql: "t.output" },
  { sql: "t.started_at" },
  { sql: "t.finished_at" },
  { sql: "t.unusual" },
];

const fields = `t.seq, t.path, t.output, t.started_at, t.finished_at, ${unusual} as unusual`;

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
  const places = read.numbers();
  const cells = {
    seq: read.numbers(),
    path: read.texts(),
    output: read.texts(),
    startedAt: read.numbers(),
    finishedAt: read.numbers(),
  };
  const unusuals = read.texts();
  const found = new Map<number, TaskRecord[]>();
  for (let n = 0; n < cells.seq.length; n++) {
    const place = places.of(n, 0);
    const ofRun = found.get(place) ?? [];
    if (ofRun.length === 0) found.set(place, ofRun);
    const usual = {
      path: cells.path.of(n, ""),
      seq: cells.seq.of(n, 0),
      kind: "task",
      status: "COMPLETED" as const,
      attempts: 1,
      output: cells.output.at(n),
      error: null,
      startedAt: cells.startedAt.of(n, 0),
      finishedAt: cells.finishedAt.at(n),
      wakeAt: null,
      data: null,
    };
    const rest = unusuals.at(n);
    ofRun.push(rest === null ? usual : withUnusual(usual, JSON.parse(rest) as Unusual));
  }
  return found;
}

function withUnusual(usual: TaskRecord, unusual: Unusual): TaskRecord {
  const [kind, status, attempts, error, wakeAt, data, topics, filter] = unusual;
  return {
    ...usual,
    ...{ kind, status, attempts, error, wakeAt, data },
    ...(topics === null ? undefined : { topics }),
    ...(topics === null && filter === null ? undefined : { filter }),
  };
}
