import type { StoredTask } from "../../core/run-tables.js";
import type { RunWrite } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Row, Session } from "./driver.js";
import { PathsOfRun } from "./recorded-paths.js";
import { RowReader } from "./row-reader.js";
import { taskColumns, taskOf } from "./task-row.js";

/** So many paths of a run at a time. */
const PAGE = 1_000;

/** A write of a run, by the key of its row, and the epoch in that. */
export interface WriteOfRow {
  readonly rk: string;
  readonly epoch: number;
  readonly write: RunWrite;
}

export interface MetTask {
  readonly rk: string;
  readonly task: StoredTask;
}

/** The records that are there of the seqs and paths that are written. The rows of the runs are locked. */
export async function tasksMet(
  context: Context,
  session: Session,
  writes: readonly WriteOfRow[],
): Promise<readonly MetTask[]> {
  if (writes.every(({ write }) => write.tasks === undefined)) return [];
  const paths = pathsOf(context, writes);
  const met = await readSeqs(context, session, writes, paths);
  for (const { rk, epoch, write } of writes) {
    const known = paths.get(rk);
    if (known !== undefined && write.guard.epoch === epoch)
      context.paths.learn(write.runId, epoch, known);
  }
  return [...met, ...(await readPaths(context, session, unmet(writes, paths, met)))];
}

/** By the keys of their rows. A write under an epoch that is over is not decided by paths. */
function pathsOf(
  { paths }: Context,
  writes: readonly WriteOfRow[],
): ReadonlyMap<string, PathsOfRun> {
  const runs = new Map<string, PathsOfRun>();
  for (const { rk, epoch, write } of writes) {
    const isOver = write.guard.epoch !== undefined && write.guard.epoch < epoch;
    if (isOver || write.tasks === undefined || runs.has(rk)) continue;
    runs.set(rk, paths.of(write.runId, epoch) ?? new PathsOfRun());
  }
  return runs;
}

const beyondPath = "null, ".repeat(11);

/** Answers the records that have one of the seqs, and brings the paths up to date: mostly there is neither. */
async function readSeqs(
  context: Context,
  session: Session,
  writes: readonly WriteOfRow[],
  paths: ReadonlyMap<string, PathsOfRun>,
): Promise<readonly MetTask[]> {
  const { schema } = context;
  const seqs = writes.flatMap(({ rk, write: { tasks = [] } }) =>
    tasks.flatMap(({ seq, replaces = seq }) => [
      { rk, seq },
      { rk, seq: replaces },
    ]),
  );
  const rows = await session.query(
    `select ${taskColumns} from ${schema}.tasks t where (t.rk, t.seq) in (select * from unnest($1::bigint[], $2::integer[])) union all ` +
      `select u.rk::text, n.path, n.seq::text, ${beyondPath}null from unnest($3::bigint[], $4::integer[]) as u(rk, last) ` +
      `cross join lateral (select t.path, t.seq from ${schema}.tasks t where t.rk = u.rk and t.seq > u.last order by t.seq limit ${PAGE}) as n`,
    [
      arrayText(seqs.map(({ rk }) => rk)),
      arrayText(seqs.map(({ seq }) => seq)),
      arrayText([...paths.keys()]),
      arrayText([...paths.values()].map(({ lastSeq }) => lastSeq)),
    ],
  );
  const found = new Map<string, number>();
  for (const [rk, path, seq] of rows.filter(isPath)) {
    paths.get(rk ?? "")?.add({ path: path ?? "", seq: Number(seq) });
    found.set(rk ?? "", (found.get(rk ?? "") ?? 0) + 1);
  }
  for (const [rk, count] of found) {
    const known = paths.get(rk);
    if (count === PAGE && known !== undefined) await readOn(context, session, rk, known);
  }
  return rows.filter((row) => !isPath(row)).map(taskOf);
}

/** Each record has a kind. */
function isPath([, , , kind]: Row): boolean {
  return kind === null;
}

/** What a run has recorded, as the holder of this epoch. Undefined if that does not hold it. */
export async function pathsOfHeld(
  context: Context,
  session: Session,
  { runId, epoch }: { readonly runId: string; readonly epoch: number },
): Promise<PathsOfRun | undefined> {
  const known = context.paths.of(runId, epoch);
  if (known !== undefined) return known;
  const [row] = await session.query(
    `select r.rk::text as rk from ${context.schema}.runs r where r.id = $1 and r.epoch = $2::integer`,
    [runId, String(epoch)],
  );
  const rk = row?.[0];
  if (typeof rk !== "string") return undefined;
  const paths = new PathsOfRun();
  await readOn(context, session, rk, paths);
  context.paths.learn(runId, epoch, paths);
  return paths;
}

/** What was recorded since of a run. */
async function readOn(
  { schema }: Context,
  session: Session,
  rk: string,
  paths: PathsOfRun,
): Promise<void> {
  for (;;) {
    const rows = await session.query(
      `select t.path as path, t.seq::text as seq from ${schema}.tasks t where t.rk = $1::bigint and t.seq > $2::integer order by t.seq limit ${PAGE}`,
      [rk, String(paths.lastSeq)],
    );
    for (const row of rows) {
      const read = new RowReader(row);
      paths.add({ path: read.string(), seq: read.number() });
    }
    if (rows.length < PAGE) return;
  }
}

/** The paths that have a record whose seq no write names. */
function unmet(
  writes: readonly WriteOfRow[],
  paths: ReadonlyMap<string, PathsOfRun>,
  met: readonly MetTask[],
): readonly { readonly rk: string; readonly path: string }[] {
  const isMet = new Set(met.map(({ rk, task }) => `${rk} ${task.path}`));
  return writes.flatMap(({ rk, write: { tasks = [] } }) =>
    tasks.flatMap(({ path }) =>
      paths.get(rk)?.has(path) === true && !isMet.has(`${rk} ${path}`) ? [{ rk, path }] : [],
    ),
  );
}

/** All records of the runs are looked at: only writes that are at fault get here. */
async function readPaths(
  { schema }: Context,
  session: Session,
  wanted: readonly { readonly rk: string; readonly path: string }[],
): Promise<readonly MetTask[]> {
  if (wanted.length === 0) return [];
  const rows = await session.query(
    `select ${taskColumns} from ${schema}.tasks t where t.rk = any($1::bigint[]) and (t.rk, t.path) in (select * from unnest($1::bigint[], $2::text[]))`,
    [arrayText(wanted.map(({ rk }) => rk)), arrayText(wanted.map(({ path }) => path))],
  );
  return rows.map(taskOf);
}
