import { type FinalStatus, isFinal } from "../../core/run-status.js";
import type { CommitResult, RunPatch, RunWrite } from "../../core/storage.js";
import { commitResult } from "../../core/write-verdict.js";
import {
  type Column,
  isJoinable,
  joinedOf,
  joinedParametersOf,
  namesOf,
  parametersOf,
  placesOf,
} from "./column.js";
import type { Context } from "./context.js";
import type { Row } from "./driver.js";
import type { Lease } from "./held-runs.js";
import { isHeld } from "./record-writes.js";

/**
 * The end of a run, by its holder, of which nobody has to be told. Like records it needs no look at the run: all that
 * its row becomes is in the write, given that it is still held as it was when this process last heard of it.
 */
export interface EndWrite extends RunWrite {
  readonly guard: { readonly epoch: number; readonly inbox: number };
  readonly run: EndPatch;
}

type EndPatch = RunPatch & {
  readonly status: FinalStatus;
  readonly finishedAt: number;
  readonly lastSeq: number;
};

/** What an end may say; of anything else the general way knows what it does. */
const parts: ReadonlySet<string> = new Set(["runId", "writeId", "guard", "run"]);
const guarded: ReadonlySet<string> = new Set(["epoch", "inbox"]);
const patched: ReadonlySet<string> = new Set([
  "status",
  "output",
  "error",
  "blocked",
  "finishedAt",
  "deadlineAt",
  "lastSeq",
]);

export function isEndWrite(write: RunWrite): write is EndWrite {
  const { guard, run } = write;
  return (
    run?.status !== undefined &&
    isFinal(run.status) &&
    run.output !== undefined &&
    run.error !== undefined &&
    run.blocked === null &&
    typeof run.finishedAt === "number" &&
    run.lastSeq !== undefined &&
    guard.epoch !== undefined &&
    guard.inbox !== undefined &&
    namesOnly(write, parts) &&
    namesOnly(guard, guarded) &&
    namesOnly(run, patched) &&
    [write.runId, write.writeId, run.output, run.error].every(isJoinable)
  );
}

function namesOnly(record: object, names: ReadonlySet<string>): boolean {
  for (const name in record) if (!names.has(name)) return false;
  return true;
}

interface HeldEnd {
  readonly write: EndWrite;
  readonly lease: Lease;
}

const columns: readonly Column<EndWrite>[] = [
  { name: "id", type: "text", cell: ({ runId }) => runId },
  { name: "held_epoch", type: "integer", cell: ({ guard }) => guard.epoch },
  { name: "held_inbox", type: "integer", cell: ({ guard }) => guard.inbox },
  { name: "status", type: "text", cell: ({ run }) => run.status },
  { name: "output", type: "text", cell: ({ run }) => run.output ?? null },
  { name: "error", type: "text", cell: ({ run }) => run.error ?? null },
  { name: "finished_at", type: "bigint", cell: ({ run }) => run.finishedAt },
  { name: "last_seq", type: "integer", cell: ({ run }) => run.lastSeq },
  { name: "write_id", type: "text", cell: ({ writeId }) => writeId },
];

/** See `afterWrite` for what an end does to a run. */
const changes =
  "status = e.status, output = e.output, error = e.error, finished_at = e.finished_at, last_seq = e.last_seq, write_id = e.write_id, " +
  "blocked = null, deadline_at = null, lease_until = null, due_at = null, claim_id = null, claim_kept = false, keep = false";

/**
 * Whoever passed over others for want of a slot waits to be told (see `hintOf`), so a run with limits is left to the
 * general way. Rows are not waited for.
 */
function endStatement(schema: string, ends: string, isEnded: string): string {
  return (
    `with ended as materialized (select w.*, r.rk from ${ends} as w(${namesOf(columns)}, place) ` +
    `cross join lateral (select r.rk from ${schema}.runs r where r.id = w.id and r.epoch = w.held_epoch and r.inbox = w.held_inbox ` +
    `and ${isHeld} and r.limit_keys is null for no key update skip locked) as r), ` +
    `written as (update ${schema}.runs r set ${changes} from ended e where ${isEnded}) ` +
    "select string_agg(e.place::text, ',') from ended e"
  );
}

const oneEnd = `(select ${placesOf(columns, 1).join(", ")}, 1)`;
const manyEnds = `unnest(${joinedOf(columns, 1).join(", ")}) with ordinality`;

/** Answers into `known`. What is not held as it was known to be gets no answer. */
export async function storeEnds(
  context: Context,
  writes: readonly EndWrite[],
  known: Map<RunWrite, CommitResult>,
): Promise<void> {
  const ends = writes.flatMap((write): HeldEnd[] => {
    const lease = context.held.of(write.runId, write.guard.epoch);
    return lease?.inbox === write.guard.inbox ? [{ write, lease }] : [];
  });
  if (ends.length === 0) return;
  const [row] = await endAll(
    context,
    ends.map(({ write }) => write),
  );
  for (const place of (row?.[0] ?? "").split(",")) {
    const end = ends[Number(place) - 1];
    if (end === undefined) continue;
    const { epoch, inbox } = end.lease;
    const { status } = end.write.run;
    known.set(end.write, commitResult("ok", { epoch, inbox, status, leaseUntil: null }));
  }
}

function endAll({ driver, schema }: Context, writes: readonly EndWrite[]): Promise<readonly Row[]> {
  const [only] = writes;
  if (only !== undefined && writes.length === 1) {
    // Not a join, which might read the whole table: see planByIndexes.
    const statement = endStatement(schema, oneEnd, "r.rk = (select x.rk from ended x)");
    return driver.query(statement, parametersOf(columns, only));
  }
  const statement = endStatement(schema, manyEnds, "r.rk = e.rk");
  const parameters = joinedParametersOf(columns, writes);
  return driver.transaction((session) => session.query(statement, parameters));
}
