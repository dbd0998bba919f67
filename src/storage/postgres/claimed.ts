import type { ClaimedRun, RunRecord, Signal, TaskPage } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Queries } from "./driver.js";
import { type PackedColumn, PackReader, packed } from "./packed.js";
import { packedTasks, packedTasksOf } from "./packed-tasks.js";

/** A run as it is after a claim has taken it. */
export interface TakenRun {
  readonly rk: string;
  readonly run: RunRecord;
  /** See `ClaimedRun`. */
  readonly kept: boolean;
  /** A run that has never been held has none. */
  readonly mayHaveRecords: boolean;
}

/** What is answered of the runs that a claim took, and holds. */
export async function claimedRuns(
  context: Context,
  session: Queries,
  taken: readonly TakenRun[],
  budget: number,
): Promise<ClaimedRun[]> {
  const told = taken.filter(({ run }) => run.inbox > 0);
  const replayed = taken.filter(({ kept, mayHaveRecords }) => !kept && mayHaveRecords);
  const belongings = await belongingsOf(context, session, { told, replayed, budget });
  return taken.map(({ rk, run, kept }) => ({
    run: { ...run, inbox: belongings.inboxes.get(rk) ?? run.inbox },
    signals: belongings.signals.get(rk) ?? [],
    tasks: belongings.pages.get(rk)?.tasks ?? [],
    tasksComplete: belongings.pages.get(rk)?.complete ?? true,
    kept,
    logCounts: belongings.logCounts.get(rk) ?? {},
  }));
}

/** What belongs to runs, by their row keys. */
interface Belongings {
  /** As many signals as were read, and those before them: after the claim there may have come more. */
  readonly inboxes: ReadonlyMap<string, number>;
  readonly signals: ReadonlyMap<string, readonly Signal[]>;
  readonly pages: ReadonlyMap<string, TaskPage>;
  readonly logCounts: ReadonlyMap<string, Readonly<Record<string, number>>>;
}

type Keyed = Pick<TakenRun, "rk">;

interface Wanted {
  /** Runs whose signals are wanted. */
  readonly told: readonly TakenRun[];
  /** Runs whose records and numbers of log lines are wanted. */
  readonly replayed: readonly Keyed[];
  readonly budget: number;
}

/** In one statement, for all of them. */
async function belongingsOf(
  { schema }: Context,
  session: Queries,
  { told, replayed, budget }: Wanted,
): Promise<Belongings> {
  if (told.length + replayed.length === 0)
    return { inboxes: new Map(), signals: new Map(), pages: new Map(), logCounts: new Map() };
  const tasks = packedTasks(schema, {
    rks: "$2::bigint[]",
    after: "0",
    budget: "$3::bigint",
    atLeast: 0,
  });
  const [row] = await session.query(
    `select * from (${packedInboxes(schema)}) as inboxes cross join (${packedSignals(schema)}) as signals cross join (${packedLogCounts(schema)}) as logs ` +
      `cross join (${packedLastSeqs(schema)}) as lasts cross join (${tasks}) as tasks`,
    [keysOf(told), keysOf(replayed), String(budget)],
  );
  const read = new PackReader(row);
  const counts = read.numbers();
  const inboxes = new Map(told.map(({ rk, run }, index) => [rk, counts.of(index, run.inbox)]));
  const signals = packedSignalsOf(read, told);
  const logCounts = packedLogCountsOf(read, replayed);
  const lasts = read.numbers();
  const found = packedTasksOf(read);
  const pages = replayed.map(({ rk }, index): [string, TaskPage] => {
    const given = found.get(index + 1) ?? [];
    return [rk, { tasks: given, complete: (given.at(-1)?.seq ?? 0) === lasts.of(index, 0) }];
  });
  return { inboxes, signals, pages: new Map(pages), logCounts };
}

function keysOf(rows: readonly Keyed[]) {
  return arrayText(rows.map(({ rk }) => rk));
}

/** How many signals each of the runs in `$1` has got. */
function packedInboxes(schema: string): string {
  const ofRun = `select r.inbox from ${schema}.runs r where r.rk = u.rk`;
  return `select ${packed([{ sql: "x.inbox" }])} from (select coalesce((${ofRun}), 0) as inbox from unnest($1::bigint[]) with ordinality as u(rk, place) order by u.place) as x`;
}

/** The highest seq of each of the runs in `$2`; 0 if it has no record. */
function packedLastSeqs(schema: string): string {
  const last = `select t.seq from ${schema}.tasks t where t.rk = u.rk order by t.seq desc limit 1`;
  return `select ${packed([{ sql: "x.seq" }])} from (select coalesce((${last}), 0) as seq from unnest($2::bigint[]) with ordinality as u(rk, place) order by u.place) as x`;
}

const logColumns: readonly PackedColumn[] = [
  { sql: "x.place", isShared: true },
  { sql: "x.stream" },
  { sql: "x.lines" },
];

/** How many lines of each stream the runs in `$2` have. */
function packedLogCounts(schema: string): string {
  const ofRun = `select l.stream, count(*) as lines from ${schema}.logs l where l.rk = u.rk group by l.stream`;
  return `select ${packed(logColumns)} from (select u.place, l.* from unnest($2::bigint[]) with ordinality as u(rk, place) cross join lateral (${ofRun}) as l) as x`;
}

function packedLogCountsOf(read: PackReader, rows: readonly Keyed[]): Belongings["logCounts"] {
  const places = read.numbers();
  const streams = read.texts();
  const lines = read.numbers();
  const found = new Map<string, Record<string, number>>();
  for (let n = 0; n < streams.length; n++) {
    const rk = rows[places.of(n, 0) - 1]?.rk ?? "";
    found.set(rk, { ...found.get(rk), [streams.of(n, "")]: lines.of(n, 0) });
  }
  return found;
}

const signalColumns: readonly PackedColumn[] = [
  { sql: "x.place", isShared: true },
  { sql: "x.id" },
  { sql: "x.topic" },
  { sql: "x.ref" },
];

/** What is unread of the runs in `$1`, and watches, oldest first. */
function packedSignals(schema: string): string {
  const ofRun = `select s.id, s.topic, s.ref, s.position from ${schema}.signals s where s.rk = u.rk and s.unread order by s.position`;
  return (
    `select ${packed(signalColumns)} from (select u.place, s.* from unnest($1::bigint[]) with ordinality as u(rk, place) ` +
    `cross join lateral (${ofRun}) as s order by u.place, s.position) as x`
  );
}

function packedSignalsOf(read: PackReader, rows: readonly Keyed[]): Map<string, Signal[]> {
  const places = read.numbers();
  const ids = read.texts();
  const topics = read.texts();
  const refs = read.texts();
  const found = new Map<string, Signal[]>();
  for (let n = 0; n < ids.length; n++) {
    const rk = rows[places.of(n, 0) - 1]?.rk ?? "";
    const signals = found.get(rk) ?? [];
    if (signals.length === 0) found.set(rk, signals);
    signals.push({ id: ids.of(n, ""), topic: topics.of(n, ""), ref: refs.at(n) });
  }
  return found;
}

/** All unread signals and all watches of a run, oldest first. */
export async function signalsOf(
  { schema }: Context,
  session: Queries,
  run: Keyed,
): Promise<readonly Signal[]> {
  const [row] = await session.query(packedSignals(schema), [keysOf([run])]);
  return packedSignalsOf(new PackReader(row), [run]).get(run.rk) ?? [];
}

/** Records of a run after a seq while they fit into the budget, the first one even if it does not. */
export async function tasksAfter(
  { schema }: Context,
  session: Queries,
  rk: string,
  { after, budget }: { readonly after: number; readonly budget: number },
): Promise<TaskPage> {
  const tasks = packedTasks(schema, {
    rks: "array[$1::bigint]",
    after: "$2::integer",
    budget: "$3::bigint",
    atLeast: 1,
  });
  const last = `select coalesce((select t.seq from ${schema}.tasks t where t.rk = $1::bigint order by t.seq desc limit 1), 0)::text`;
  const [row] = await session.query(
    `select * from (${last}) as last cross join (${tasks}) as tasks`,
    [rk, String(after), String(budget)],
  );
  const given = packedTasksOf(new PackReader(row, 1)).get(1) ?? [];
  return { tasks: given, complete: (given.at(-1)?.seq ?? after) >= Number(row?.[0]) };
}
