import { OVERDUE_LIMIT } from "../../core/claim-plan.js";
import { type ClaimRequest, NEVER } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { isDue, nextDue, ranks } from "./rank.js";
import { RowReader } from "./row-reader.js";

/** What one statement tells a worker that looks for work. */
export interface ClaimProbe {
  readonly now: number;
  /** There may be something to take, or the claim is a repeated one. */
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
  { claimId, jobIds }: Pick<ClaimRequest, "claimId" | "jobIds">,
): Promise<ClaimProbe> {
  const [row] = await session.query(
    `with recursive clock as materialized (select ${clock.reading("$3")} as now), ${ranks(schema)} ` +
      "select clock.now::text, " +
      `(exists (select from ${schema}.runs r where r.claim_id = $1) or ` +
      `${isDue(schema, "clock.now")})::text, ` +
      `${nextDue(schema, "clock.now")}::text, ` +
      `array_to_json(array(select r.id from ${schema}.runs r where r.deadline_at <= clock.now order by r.deadline_at limit ${OVERDUE_LIMIT}))::text, ` +
      `(select min(r.deadline_at) from ${schema}.runs r)::text, ` +
      "(select count(pg_notify($5, $4)) where $4::text is not null)::text from clock",
    [claimId, arrayText(jobIds), clock.given, hints?.echo() ?? null, hints?.channel ?? null],
  );
  const read = new RowReader(row ?? []);
  const answer = {
    now: read.number(),
    isDue: read.boolean(),
    nextDue: instantOrNull(read.numberOrNull()),
    overdue: read.strings(),
    nextDeadline: instantOrNull(read.numberOrNull()),
  };
  clock.observe(answer.now);
  return answer;
}

function instantOrNull(instant: number | null): number | null {
  return instant === NEVER ? null : instant;
}
