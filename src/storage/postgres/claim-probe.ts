import { SUSPECT_STALLS } from "../../core/claim-order.js";
import { OVERDUE_LIMIT } from "../../core/claim-plan.js";
import { type ClaimRequest, NEVER } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { isDueInLong, isLong, nextDue, rankAbove, ranks, unknown, waiting } from "./rank.js";
import { RowReader } from "./row-reader.js";

/** What one statement tells a worker that looks for work. */
export interface ClaimProbe {
  readonly now: number;
  /** Something was taken under this id: the claim is a repeated one. */
  readonly isRepeated: boolean;
  /** So many runs of these jobs are due, counted up to one more than the claim may take. */
  readonly waiting: number;
  /** Of them, those with many stalls. */
  readonly suspects: number;
  /** And those whose last holder did not come back. */
  readonly lapsed: number;
  /** All that are due were counted. */
  readonly isAll: boolean;
  /** There may be something to take. */
  readonly isDue: boolean;
  /** Earliest instant after now at which a run of these jobs is due. */
  readonly nextDue: number | null;
  readonly overdue: readonly string[];
  readonly nextDeadline: number | null;
}

/** Nothing is locked or written: at rest this is all that a poll costs. */
export async function probe(
  { clock, hints, schema }: Context,
  session: Session,
  { claimId, jobIds, limit, suspects }: ClaimRequest,
): Promise<ClaimProbe> {
  const [row] = await session.query(statement(schema, clock.reading("$3")), [
    claimId,
    arrayText(jobIds),
    clock.given,
    hints?.echo() ?? null,
    hints?.channel ?? null,
    String(limit),
    String(stallsBelow(suspects)),
    // A worker without a free slot looks for internal runs, and passes over all others at once.
    String(rankAbove(jobIds)),
  ]);
  const read = new RowReader(row ?? []);
  const answer = {
    now: read.number(),
    isRepeated: read.boolean(),
    waiting: read.number(),
    suspects: read.number(),
    lapsed: read.number(),
    isAll: read.boolean(),
    isDue: read.boolean(),
    nextDue: instantOrNull(read.numberOrNull()),
    overdue: read.strings(),
    nextDeadline: instantOrNull(read.numberOrNull()),
  };
  clock.observe(answer.now);
  return answer;
}

function statement(schema: string, reading: string): string {
  const now = "(select now from clock)";
  const counted = waiting(schema, now, { limit: "$6::bigint + 1", belowStalls: "$7::bigint" });
  const count = "(select count(*) from waiting)";
  return (
    `with recursive clock as materialized (select ${reading} as now), ${ranks(schema, "$8::bigint")}, ${counted} ` +
    "select clock.now::text, " +
    `(exists (select from ${schema}.runs r where r.claim_id = $1))::text, ` +
    `${count}::text, (select count(*) from waiting where stalls >= ${SUSPECT_STALLS})::text, (select count(*) from waiting where lapsed)::text, ` +
    `(${count} <= $6::bigint and not ${isLong(schema, now)})::text, ` +
    `(${count} > 0 or ${isDueInLong(schema, now)})::text, ` +
    `${nextDue(schema, now)}::text, ` +
    `array_to_json(array(select r.id from ${schema}.runs r where r.deadline_at <= ${now} order by r.deadline_at limit ${unknown(OVERDUE_LIMIT)}))::text, ` +
    `(select min(r.deadline_at) from ${schema}.runs r)::text, ` +
    "(select count(pg_notify($5, $4)) where $4::text is not null)::text from clock"
  );
}

/** Runs with so many stalls are passed over. */
export function stallsBelow(suspects: number): number {
  return suspects > 0 ? NEVER : SUSPECT_STALLS;
}

function instantOrNull(instant: number | null): number | null {
  return instant === NEVER ? null : instant;
}
