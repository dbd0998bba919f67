import { isInternal } from "../../src/core/final.js";
import { isFinal } from "../../src/core/run-status.js";
import { NEVER, type RunRecord } from "../../src/core/storage.js";
import { awayMs, type FaultKind, interruptionsOf, LEASE_MS } from "./faults.js";
import type { End, Scenario } from "./scenario.js";

/** For pauses between tries, the poll of a started worker and the callers of a stage. */
const PAUSES_MS = 5_000;

/** A run that no instant makes due and that nobody holds is waited upon by another one, which will tell it. */
export function assertNoOrphan(runs: readonly RunRecord[]): void {
  const open = runs.filter((run) => !isFinal(run.status));
  const moving = open.filter(
    (run) => run.deadlineAt !== null || (run.dueAt !== null && run.dueAt !== NEVER),
  );
  for (const run of open) {
    if (moving.includes(run) || (run.status === "WAITING" && moving.length > 0)) continue;
    throw new Error(`run ${run.id} of "${run.jobId}" is ${run.status}, and nothing makes it due`);
  }
}

/** What holds at the end of every scenario, whatever went wrong on the way. */
export async function checkEnd(
  end: End,
  scenario: Scenario,
  {
    maxParked,
    baselineMs,
  }: { readonly maxParked: number; readonly baselineMs: number | undefined },
): Promise<void> {
  const { ledger, fired } = end.stage;
  if (ledger.violations.length > 0) throw new Error(ledger.violations.join("; "));
  checkExecutions(end, scenario, maxParked);
  checkChildren(end.runs);
  await checkRecords(end);
  await scenario.check(end);
  if (baselineMs !== undefined) checkTime(end, fired?.kind, baselineMs + (scenario.slackMs ?? 0));
}

function checkExecutions({ stage }: End, scenario: Scenario, maxParked: number): void {
  const usual = {
    ...scenario.executions,
    ...(maxParked === 0 ? scenario.executionsReplayed : undefined),
  };
  for (const { taskId, path, count } of stage.ledger.executions()) {
    const most = (usual[path] ?? 1) + interruptionsOf(stage.fired?.kind);
    if (count > most) throw new Error(`task ${taskId} was executed ${count} times, not ${most}`);
  }
}

/** No effect of a run was made twice. */
function checkChildren(runs: readonly RunRecord[]): void {
  const seen = new Set<string>();
  for (const { jobId, parentId, parentPath } of runs) {
    if (parentId === null || isInternal(jobId)) continue;
    const place = `${parentId}/${parentPath}`;
    if (seen.has(place)) throw new Error(`two runs were started at ${place}`);
    seen.add(place);
  }
}

/** Every record that was ever acknowledged is there, as it was; and no storage failure was taken for the user's. */
async function checkRecords({ stage, runs }: End): Promise<void> {
  for (const run of runs) {
    assertNoStorageError(run.error, `run ${run.id} of "${run.jobId}"`);
    const { tasks } = await stage.observer.listTasks(run.id, 0, 1 << 24);
    const completed = new Map<string, string | null>();
    for (const task of tasks) {
      assertNoStorageError(task.error, `task ${run.id}/${task.path}`);
      if (task.status === "COMPLETED") completed.set(task.path, task.output);
    }
    stage.ledger.assertKept(run.id, completed);
  }
}

function assertNoStorageError(error: string | null, whose: string): void {
  if (error !== null && /Injected fault|STORAGE_/.test(error))
    throw new Error(`${whose} failed since the storage was away: ${error.slice(0, 300)}`);
}

function checkTime({ stage }: End, kind: FaultKind | undefined, usualMs: number): void {
  if (kind === undefined) return;
  const lost = (awayMs[kind] ?? 0) + (interruptionsOf(kind) > 0 ? LEASE_MS : 0) + PAUSES_MS;
  const most = usualMs + lost;
  if (stage.clock.elapsedMs > most)
    throw new Error(`it took ${stage.clock.elapsedMs} ms instead of at most ${most}`);
}
