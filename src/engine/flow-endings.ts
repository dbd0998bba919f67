import { toErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import type { Ending } from "../core/final.js";
import type { AnyJob } from "../core/job.js";

export function rateLimitedError(job: AnyJob, until: number): RunError {
  const { limit, period } = job.options.rateLimit ?? {};
  const at = new Date(until);
  return new RunError(
    "RATE_LIMITED",
    `Job "${job.id}" has had its ${limit} starts in ${JSON.stringify(period)}. The next one is possible at ${at.toISOString()}; start it again then, or raise rateLimit.`,
    { details: { retryAt: at } },
  );
}

export function skippedError(job: AnyJob, other: string): RunError {
  return new RunError(
    "RUN_SKIPPED",
    `Run ${other} of job "${job.id}" is open, and the job is a singleton. Start it again when that one has ended, or use mode "join" or "replace".`,
    { details: { runId: other } },
  );
}

export function supersededBy(id: string, by: string): Ending {
  return canceled(
    new RunError(
      "RUN_SUPERSEDED",
      `Run ${id} gave way to run ${by}, which was started later. Look at that one for the outcome.`,
      { details: { runId: by } },
    ),
  );
}

export function canceled(error: RunError): Ending {
  return { status: "CANCELED", error: toErrorRecord(error) };
}
