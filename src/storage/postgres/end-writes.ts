import { type FinalStatus, isFinal } from "../../core/run-status.js";
import type { CommitResult, RunPatch, RunWrite } from "../../core/storage.js";
import { commitResult } from "../../core/write-verdict.js";
import { type Column, isJoinable } from "./column.js";
import type { Context } from "./context.js";
import { type Equal, type HeldWrite, storeHeld } from "./held-writes.js";
import { replacedAs, replacementColumns, type WithReplacement } from "./replaced-records.js";
import { isJoinableTask } from "./task-row.js";

/**
 * The end of a run, by its holder, of which nobody has to be told. Like records it needs no look at the run: all that
 * its row becomes is in the write, given that it is still held as it was when this process last heard of it. The end
 * of the run's last wait may come with it.
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

type ReplacingEnd = EndWrite & WithReplacement;

/** What an end may say; of anything else the general way knows what it does. */
const parts: ReadonlySet<string> = new Set(["runId", "writeId", "guard", "run", "tasks"]);
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
    (write.tasks === undefined || replacesOne(write)) &&
    [write.runId, write.writeId, run.output, run.error].every(isJoinable)
  );
}

function replacesOne({ tasks = [] }: RunWrite): boolean {
  const [task] = tasks;
  return tasks.length === 1 && task?.replaces !== undefined && isJoinableTask(task);
}

function namesOnly(record: object, names: ReadonlySet<string>): boolean {
  for (const name in record) if (!names.has(name)) return false;
  return true;
}

const columns: readonly Column<HeldWrite<EndWrite>>[] = [
  { name: "run_status", type: "text", cell: ({ write }) => write.run.status },
  { name: "run_output", type: "text", cell: ({ write }) => write.run.output ?? null },
  { name: "run_error", type: "text", cell: ({ write }) => write.run.error ?? null },
  { name: "run_finished_at", type: "bigint", cell: ({ write }) => write.run.finishedAt },
  { name: "run_last_seq", type: "integer", cell: ({ write }) => write.run.lastSeq },
];

/** See `afterWrite` for what an end does to a run. */
const changes =
  "status = e.run_status, output = e.run_output, error = e.run_error, finished_at = e.run_finished_at, " +
  "last_seq = e.run_last_seq, write_id = e.write_id, " +
  "blocked = null, deadline_at = null, lease_until = null, due_at = null, claim_id = null, claim_kept = false, keep = false";

function writtenAs(schema: string, equal: Equal, ends: "held" | "replaced"): string {
  return `written as (update ${schema}.runs r set ${changes} from ${ends} e where ${equal("r.rk", "rk", ends, "e")})`;
}

/**
 * Whoever passed over others for want of a slot waits to be told (see `hintOf`), so a run with limits is left to the
 * general way.
 */
const ofRun = { lock: "no key update", given: "r.limit_keys is null" } as const;

/** Answers into `known`. What is not held as it was known to be gets no answer. */
export async function storeEnds(
  context: Context,
  writes: readonly EndWrite[],
  known: Map<RunWrite, CommitResult>,
): Promise<void> {
  const plain: HeldWrite<EndWrite>[] = [];
  const replacing: HeldWrite<ReplacingEnd>[] = [];
  for (const write of writes) {
    const lease = context.held.of(write.runId, write.guard.epoch);
    if (lease?.inbox !== write.guard.inbox) continue;
    if (!isReplacing(write)) plain.push({ write, lease });
    else if (context.paths.areNext(write)) replacing.push({ write, lease });
  }
  const ended = await Promise.all([endAll(context, plain), replaceAndEndAll(context, replacing)]);
  for (const { write, lease } of ended.flat()) {
    const { status } = write.run;
    known.set(write, commitResult("ok", { ...lease, status, leaseUntil: null }));
  }
}

function isReplacing(write: EndWrite): write is ReplacingEnd {
  return write.tasks !== undefined;
}

function endAll(
  context: Context,
  writes: readonly HeldWrite<EndWrite>[],
): Promise<readonly HeldWrite<EndWrite>[]> {
  return storeHeld(context, {
    ...ofRun,
    writes,
    columns,
    body: (equal) => writtenAs(context.schema, equal, "held"),
    stored: "held",
  });
}

function replaceAndEndAll(
  context: Context,
  writes: readonly HeldWrite<ReplacingEnd>[],
): Promise<readonly HeldWrite<ReplacingEnd>[]> {
  const { schema } = context;
  return storeHeld<ReplacingEnd>(context, {
    ...ofRun,
    writes,
    columns: [...columns, ...replacementColumns],
    body: (equal) => `${replacedAs(schema, equal)}, ${writtenAs(schema, equal, "replaced")}`,
    stored: "replaced",
  });
}
