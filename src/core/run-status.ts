/** Every status a run can be read with. */
export const runStatuses = [
  "PENDING",
  "QUEUED",
  "WAITING_ON_CONNECTIONS",
  "EXECUTING",
  "WAITING",
  "FAILED",
  "COMPLETED",
  "CANCELED",
  "TIMED_OUT",
  "INVALID_PAYLOAD",
  "UNRESOLVED_AUTH",
] as const;
export type RunStatus = (typeof runStatuses)[number];

/** Only `retryRun` leads out of these. */
export const finalStatuses = [
  "FAILED",
  "COMPLETED",
  "CANCELED",
  "TIMED_OUT",
  "INVALID_PAYLOAD",
  "UNRESOLVED_AUTH",
] as const satisfies readonly RunStatus[];
export type FinalStatus = (typeof finalStatuses)[number];

/** QUEUED is derived on read and never stored. */
export type StoredStatus = Exclude<RunStatus, "QUEUED">;

export const openStatuses = [
  "PENDING",
  "WAITING_ON_CONNECTIONS",
  "EXECUTING",
  "WAITING",
] as const satisfies readonly StoredStatus[];

const finals: ReadonlySet<string> = new Set(finalStatuses);

export function isFinal(status: RunStatus): status is FinalStatus {
  return finals.has(status);
}

/** What a reader sees: a run that is due and that nobody holds is QUEUED. */
export function displayStatus(
  run: {
    status: StoredStatus;
    dueAt: number | null;
    leaseUntil: number | null;
    blocked: string | null;
  },
  now: number,
): RunStatus {
  if (isFinal(run.status) || run.blocked !== null) return run.status;
  const leased = run.leaseUntil !== null && run.leaseUntil > now;
  return !leased && run.dueAt !== null && run.dueAt <= now ? "QUEUED" : run.status;
}
