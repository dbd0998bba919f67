import { SUSPECT_STALLS } from "../../core/claim-order.js";
import type { ClaimRequest, RunRecord } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { ClaimProbe } from "./claim-probe.js";
import type { TakenRun } from "./claimed.js";
import type { Context } from "./context.js";
import { type PackedColumn, PackReader, packed } from "./packed.js";
import { isDueIn, PATIENCE, ranks, unknown } from "./rank.js";

/** Payloads and the like of so many bytes are answered at once, and those of the first run whatever they take. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Whether nothing has to be decided of the runs one by one: no slots are counted, no lease has lapsed, no run is a
 * suspect. Then they are chosen, locked and taken by one statement, and what they become follows from what they are.
 * There must be enough of them in front of very many runs of other jobs: what is behind those is found in another way.
 */
export function isShortClaim(request: ClaimRequest, known: ClaimProbe): boolean {
  return (
    decidesNothing(request) &&
    !known.isRepeated &&
    known.waiting > 0 &&
    (known.isAll || known.waiting > request.limit) &&
    known.suspects === 0 &&
    known.lapsed === 0
  );
}

export function decidesNothing({ limits, only }: ClaimRequest): boolean {
  return only === undefined && Object.keys(limits).length === 0;
}

/** See `afterClaim` for what a claim does to a run. */
const changes =
  "status = 'EXECUTING', epoch = r.epoch + 1, worker_id = $4, lease_until = $5::bigint, due_at = $5::bigint, " +
  "execution_count = r.execution_count + case when r.keep and r.worker_id = $4 then 0 else 1 end, " +
  "deadline_at = case when r.started_at is null then $1::bigint + r.max_duration_ms else r.deadline_at end, " +
  "rank = case when r.started_at is null then r.rank - 1 else r.rank end, started_at = coalesce(r.started_at, $1::bigint), " +
  "claim_id = $3, claim_kept = r.keep and r.worker_id is not distinct from $4, keep = false";

const columns: readonly PackedColumn[] = [
  { sql: "x.rk::text" },
  { sql: "x.id" },
  { sql: "x.job_id" },
  { sql: "x.version" },
  { sql: "x.epoch" },
  { sql: "x.generation" },
  { sql: "x.deadline_at" },
  { sql: "x.max_duration_ms" },
  { sql: "x.priority" },
  { sql: "array_to_json(x.limit_keys)::text" },
  { sql: "x.payload" },
  { sql: "x.admitted" },
  { sql: "x.output" },
  { sql: "x.error" },
  { sql: "x.blocked" },
  { sql: "x.execution_count" },
  { sql: "x.stalls" },
  { sql: "x.last_seq" },
  { sql: "x.inbox" },
  { sql: "array_to_json(x.tags)::text" },
  { sql: "x.event_id" },
  { sql: "x.parent_id" },
  { sql: "x.parent_path" },
  { sql: "x.idempotency_key" },
  { sql: "x.fingerprint" },
  { sql: "x.is_test" },
  { sql: "x.created_at" },
  { sql: "x.started_at" },
  { sql: "x.finished_at" },
  { sql: "x.meta" },
  { sql: "x.state" },
  { sql: "x.claim_kept" },
  { sql: "x.was_due_at" },
  { sql: "x.was_started" },
];

const large = ["payload", "admitted", "output", "error", "meta", "state"];
const bytes = large.map((name) => `coalesce(octet_length(r.${name}), 0)`).join(" + ");

/**
 * Of a rank those that are due the longest, of whatever job, as far as a claim looks. Others pass over locked ones, so
 * no more are locked than are asked for. None, if a first try of this claim was committed before this statement.
 */
function statement(schema: string): string {
  const isHeld = `select from ${schema}.runs c where c.claim_id = $3 and c.lease_until > $1::bigint`;
  const longest =
    `select x.rk, x.due_at from ${schema}.runs x where ${isDueIn("x", "$1::bigint")} ` +
    `order by x.due_at, x.rk limit ${unknown(`$6::bigint + ${PATIENCE}`)}`;
  const ofRank =
    `select r.rk, r.due_at, r.started_at, ${bytes} as bytes from (${longest}) as head join ${schema}.runs r on r.rk = head.rk ` +
    `where r.due_at <= $1::bigint and r.job_id = any($2::text[]) and r.lease_until is null and r.stalls < ${SUSPECT_STALLS} ` +
    `and not (select exists (${isHeld})) order by head.due_at, head.rk limit ${unknown("$6")} for no key update of r skip locked`;
  return (
    `with recursive ${ranks(schema)}, ` +
    `chosen as materialized (select found.* from ranks cross join lateral (${ofRank}) as found limit ${unknown("$6")}), ` +
    "numbered as materialized (select c.*, row_number() over () as place, sum(c.bytes) over (rows unbounded preceding) as bytes_so_far from chosen c), " +
    `taken as (update ${schema}.runs r set ${changes} from numbered n where r.rk = n.rk and (n.place = 1 or n.bytes_so_far <= ${MOST_BYTES}) returning r.*), ` +
    "told as (select t.*, n.place, n.due_at as was_due_at, n.started_at is not null as was_started from numbered n join taken t on t.rk = n.rk) " +
    `select ${packed(columns)} from (select * from told order by place) as x`
  );
}

/** A run as it was taken, and when it had been due. */
export interface ShortlyTaken extends TakenRun {
  readonly wasDueAt: number;
}

/** In the order of claims. */
export async function takeDue(
  { driver, schema }: Context,
  { claimId, workerId, jobIds, leaseMs, limit }: ClaimRequest,
  now: number,
): Promise<readonly ShortlyTaken[]> {
  const leaseUntil = now + leaseMs;
  const parameters = [now, arrayText(jobIds), claimId, workerId, leaseUntil, limit].map(String);
  // Two tries of one claim would each pass over what the other has locked.
  const [row] = await driver.planned(statement(schema), parameters, `${schema} ${claimId}`);
  return takenRunsOf(new PackReader(row), { workerId, leaseUntil });
}

function takenRunsOf(
  read: PackReader,
  by: Pick<RunRecord, "workerId" | "leaseUntil">,
): readonly ShortlyTaken[] {
  const rks = read.texts();
  const cells = {
    id: read.texts(),
    jobId: read.texts(),
    version: read.texts(),
    epoch: read.numbers(),
    generation: read.numbers(),
    deadlineAt: read.numbers(),
    maxDurationMs: read.numbers(),
    priority: read.numbers(),
    limitKeys: read.texts(),
    payload: read.texts(),
    admitted: read.texts(),
    output: read.texts(),
    error: read.texts(),
    blocked: read.texts(),
    executionCount: read.numbers(),
    stalls: read.numbers(),
    lastSeq: read.numbers(),
    inbox: read.numbers(),
    tags: read.texts(),
    eventId: read.texts(),
    parentId: read.texts(),
    parentPath: read.texts(),
    idempotencyKey: read.texts(),
    fingerprint: read.texts(),
    isTest: read.booleans(),
    createdAt: read.numbers(),
    startedAt: read.numbers(),
    finishedAt: read.numbers(),
    meta: read.texts(),
    state: read.texts(),
  };
  const kept = read.booleans();
  const wasDueAt = read.numbers();
  const wasStarted = read.booleans();
  const taken: ShortlyTaken[] = [];
  for (let n = 0; n < rks.length; n++) {
    const run: RunRecord = {
      id: cells.id.of(n, ""),
      jobId: cells.jobId.of(n, ""),
      version: cells.version.of(n, ""),
      status: "EXECUTING",
      epoch: cells.epoch.of(n, 0),
      generation: cells.generation.of(n, 0),
      workerId: by.workerId,
      leaseUntil: by.leaseUntil,
      dueAt: by.leaseUntil,
      deadlineAt: cells.deadlineAt.at(n),
      maxDurationMs: cells.maxDurationMs.at(n),
      priority: cells.priority.of(n, 0),
      limitKeys: listOf(cells.limitKeys.at(n)),
      payload: cells.payload.at(n),
      admitted: cells.admitted.at(n),
      output: cells.output.at(n),
      error: cells.error.at(n),
      blocked: cells.blocked.at(n),
      executionCount: cells.executionCount.of(n, 0),
      stalls: cells.stalls.of(n, 0),
      lastSeq: cells.lastSeq.of(n, 0),
      inbox: cells.inbox.of(n, 0),
      tags: listOf(cells.tags.at(n)),
      eventId: cells.eventId.at(n),
      parentId: cells.parentId.at(n),
      parentPath: cells.parentPath.at(n),
      idempotencyKey: cells.idempotencyKey.at(n),
      fingerprint: cells.fingerprint.at(n),
      isTest: cells.isTest.of(n, false),
      createdAt: cells.createdAt.of(n, 0),
      startedAt: cells.startedAt.at(n),
      finishedAt: cells.finishedAt.at(n),
      meta: cells.meta.at(n),
      state: cells.state.at(n),
    };
    taken.push({
      rk: rks.of(n, ""),
      run,
      kept: kept.of(n, false),
      mayHaveRecords: wasStarted.of(n, false),
      wasDueAt: wasDueAt.of(n, 0),
    });
  }
  return taken;
}

function listOf(text: string | null): readonly string[] {
  return text === null ? [] : (JSON.parse(text) as string[]);
}
