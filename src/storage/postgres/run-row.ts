import { isInternal } from "../../core/final.js";
import type { StoredStatus } from "../../core/run-status.js";
import type { StoredRun } from "../../core/stored-run.js";
import { arrayText } from "./array.js";
import type { Column } from "./column.js";
import type { Row } from "./driver.js";
import { rankOf } from "./rank.js";
import { RowReader } from "./row-reader.js";

/** Those that never change are not updated. */
export interface RunColumn extends Column<StoredRun> {
  readonly fixed?: true;
  /** It changes with the state of a run, not with its definition. */
  readonly isState?: true;
  /** May be large: if it stays it is not sent again, and what the server keeps beside the row stays there. */
  readonly isLarge?: true;
}

type CellOf = RunColumn["cell"];

const text = (name: string, cell: CellOf): RunColumn => ({ name, type: "text", cell });
const fixed = (name: string, cell: CellOf): RunColumn => ({
  name,
  type: "text",
  fixed: true,
  cell,
});
const large = (name: string, cell: CellOf): RunColumn => ({
  name,
  type: "text",
  isLarge: true,
  cell,
});
const bigint = (name: string, cell: CellOf): RunColumn => ({ name, type: "bigint", cell });
const integer = (name: string, cell: CellOf): RunColumn => ({ name, type: "integer", cell });
const boolean = (name: string, cell: (stored: StoredRun) => boolean): RunColumn => ({
  name,
  type: "boolean",
  cell: (stored) => String(cell(stored)),
});
const list = (name: string, cell: (stored: StoredRun) => readonly string[]): RunColumn => ({
  name,
  type: "text[]",
  cell: (stored) => {
    const values = cell(stored);
    return values.length === 0 ? null : arrayText(values);
  },
});

const state = (column: RunColumn): RunColumn => ({ ...column, isState: true });

/** In the order in which `storedRunOf` reads them. */
const columns: readonly RunColumn[] = [
  fixed("id", ({ run }) => run.id),
  fixed("job_id", ({ run }) => run.jobId),
  text("version", ({ run }) => run.version),
  state(text("status", ({ run }) => run.status)),
  state(integer("epoch", ({ run }) => run.epoch)),
  integer("generation", ({ run }) => run.generation),
  state(text("worker_id", ({ run }) => run.workerId)),
  state(bigint("lease_until", ({ run }) => run.leaseUntil)),
  state(bigint("due_at", ({ run }) => run.dueAt)),
  bigint("deadline_at", ({ run }) => run.deadlineAt),
  bigint("max_duration_ms", ({ run }) => run.maxDurationMs),
  integer("priority", ({ run }) => run.priority),
  list("limit_keys", ({ run }) => run.limitKeys),
  large("payload", ({ run }) => run.payload),
  large("admitted", ({ run }) => run.admitted),
  state(large("output", ({ run }) => run.output)),
  state(large("error", ({ run }) => run.error)),
  text("blocked", ({ run }) => run.blocked),
  state(integer("execution_count", ({ run }) => run.executionCount)),
  state(integer("stalls", ({ run }) => run.stalls)),
  state(integer("last_seq", ({ run }) => run.lastSeq)),
  state(integer("inbox", ({ run }) => run.inbox)),
  list("tags", ({ run }) => run.tags),
  fixed("event_id", ({ run }) => run.eventId),
  fixed("parent_id", ({ run }) => run.parentId),
  fixed("parent_path", ({ run }) => run.parentPath),
  fixed("idempotency_key", ({ run }) => run.idempotencyKey),
  fixed("fingerprint", ({ run }) => run.fingerprint),
  { ...boolean("is_test", ({ run }) => run.isTest), fixed: true },
  { ...bigint("created_at", ({ run }) => run.createdAt), fixed: true },
  state(bigint("started_at", ({ run }) => run.startedAt)),
  state(bigint("finished_at", ({ run }) => run.finishedAt)),
  large("meta", ({ run }) => run.meta),
  large("state", ({ run }) => run.state),
  fixed("create_id", ({ createId }) => createId),
  { ...bigint("key_expires_at", ({ keyExpiresAt }) => keyExpiresAt), fixed: true },
  state(text("write_id", ({ writeId }) => writeId)),
  state(text("claim_id", ({ claim }) => claim?.id ?? null)),
  state(boolean("claim_kept", ({ claim }) => claim?.kept === true)),
  state(bigint("wake_at", ({ wakeAt }) => wakeAt)),
  state(integer("wake_signals", ({ wakeSignals }) => wakeSignals)),
  state(integer("unread", ({ unread }) => unread)),
  state(boolean("keep", ({ keep }) => keep)),
];

/** These follow from the others. */
const derived: readonly RunColumn[] = [
  state(
    bigint("rank", ({ run }) =>
      rankOf({
        internal: isInternal(run.jobId),
        priority: run.priority,
        started: run.startedAt !== null,
      }),
    ),
  ),
  { ...boolean("internal", ({ run }) => isInternal(run.jobId)), fixed: true },
];

export const written = [...columns, ...derived];
export const updated = written.filter((column) => column.fixed !== true);

function asText({ name, type }: RunColumn): string {
  if (type === "text") return `r.${name}`;
  return type === "text[]" ? `array_to_json(r.${name})::text` : `r.${name}::text`;
}

/** Of a table with the alias `r`. `rk` comes first. */
export const runColumns = ["r.rk::text", ...columns.map(asText)].join(", ");

/** A run and the key of its row. */
export interface StoredRow {
  readonly rk: string;
  stored: StoredRun;
}

export function storedRowOf(row: Row): StoredRow {
  const read = new RowReader(row);
  const rk = read.string();
  const run = {
    id: read.string(),
    jobId: read.string(),
    version: read.string(),
    status: read.string() as StoredStatus,
    epoch: read.number(),
    generation: read.number(),
    workerId: read.stringOrNull(),
    leaseUntil: read.numberOrNull(),
    dueAt: read.numberOrNull(),
    deadlineAt: read.numberOrNull(),
    maxDurationMs: read.numberOrNull(),
    priority: read.number(),
    limitKeys: read.strings(),
    payload: read.stringOrNull(),
    admitted: read.stringOrNull(),
    output: read.stringOrNull(),
    error: read.stringOrNull(),
    blocked: read.stringOrNull(),
    executionCount: read.number(),
    stalls: read.number(),
    lastSeq: read.number(),
    inbox: read.number(),
    tags: read.strings(),
    eventId: read.stringOrNull(),
    parentId: read.stringOrNull(),
    parentPath: read.stringOrNull(),
    idempotencyKey: read.stringOrNull(),
    fingerprint: read.stringOrNull(),
    isTest: read.boolean(),
    createdAt: read.number(),
    startedAt: read.numberOrNull(),
    finishedAt: read.numberOrNull(),
    meta: read.stringOrNull(),
    state: read.stringOrNull(),
  };
  const createId = read.stringOrNull();
  const keyExpiresAt = read.numberOrNull();
  const writeId = read.stringOrNull();
  const claimId = read.stringOrNull();
  const kept = read.boolean();
  const claim = claimId === null ? null : { id: claimId, kept };
  const wake = { wakeAt: read.numberOrNull(), wakeSignals: read.number() };
  const rest = { unread: read.number(), keep: read.boolean() };
  return { rk, stored: { run, createId, keyExpiresAt, writeId, claim, ...wake, ...rest } };
}
