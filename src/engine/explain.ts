import { decodeErrorRecord } from "../core/error-record.js";
import { isInternal } from "../core/final.js";
import { displayStatus, isFinal } from "../core/run-status.js";
import { NEVER, type RunRecord, type TaskRecord } from "../core/storage.js";
import { decodeTaskData } from "../core/task-data.js";
import { limitsOf } from "./admission.js";
import type { Block } from "./block.js";
import type { Engine } from "./engine.js";
import type { Sought } from "./event-match.js";
import { explainConnections, explainFlow } from "./explain-flow.js";

/** One sentence: why the run is not moving, and what to do. */
export async function explainRun(engine: Engine, id: string): Promise<string | undefined> {
  const [run] = await engine.rawStorage.getRuns([id]);
  if (run === undefined || isInternal(run.jobId)) return undefined;
  const now = await engine.rawStorage.now();
  if (isFinal(run.status)) return explainEnd(run);
  if (run.blocked !== null) return explainBlock(run, run.blocked);
  const leased = run.leaseUntil !== null && run.leaseUntil > now;
  if (leased) return explainExecuting(run, await tasksOf(engine, run));
  const status = displayStatus(run, now);
  if (status === "QUEUED") return explainQueued(engine, run, now);
  if (status === "PENDING") {
    const held = explainFlow(engine, run);
    if (held !== undefined) return held;
    return `Run ${id} is delayed until ${time(run.dueAt)}; it starts then. Cancel it and invoke again to start it now.`;
  }
  if (status === "WAITING_ON_CONNECTIONS") return explainConnections(run);
  return explainWaiting(engine, run, await tasksOf(engine, run), now);
}

function explainEnd(run: RunRecord): string {
  const error = run.error === null ? "" : `: ${decodeErrorRecord(run.error).message}`;
  const at = time(run.finishedAt);
  switch (run.status) {
    case "COMPLETED":
      return `Run ${run.id} completed at ${at}. Nothing is left to do; replayRun starts a new one with the same payload.`;
    case "CANCELED":
      return `Run ${run.id} was cancelled at ${at}${error} Use retryRun to let it go on after all.`;
    case "TIMED_OUT":
      return `Run ${run.id} timed out at ${at}${error} Use retryRun to let it go on.`;
    case "UNRESOLVED_AUTH":
      return `Run ${run.id} did not run at ${at}${error}`;
    case "INVALID_PAYLOAD":
      return `Run ${run.id} never ran${error} Fix the sender or the schema, then use replayRun with a payload that fits.`;
    default:
      return `Run ${run.id} failed at ${at}${error} Fix the cause, then use retryRun: completed tasks are kept.`;
  }
}

function explainBlock(run: RunRecord, blocked: string): string {
  const { error, version } = JSON.parse(blocked) as Block;
  return `Run ${run.id} is blocked under version ${version} of job "${run.jobId}": ${error.message} It is tried again at ${time(run.dueAt)}, or at once by retryRun or a worker with another version.`;
}

function explainExecuting(run: RunRecord, tasks: readonly TaskRecord[]): string {
  const open = tasks.filter((task) => task.status === "RUNNING").map((task) => `"${task.path}"`);
  const doing =
    open.length === 0
      ? `it has recorded ${tasks.length} task(s)`
      : `task ${open.join(", ")} is open`;
  return `Run ${run.id} is being executed by worker ${run.workerId} (${doing}), whose lease runs until ${time(run.leaseUntil)}. Wait for it, or cancel the run.`;
}

async function explainQueued(engine: Engine, run: RunRecord, now: number): Promise<string> {
  await engine.registry.reload();
  if (engine.jobs.get(run.jobId) === undefined && engine.registry.get(run.jobId) === undefined) {
    return `Run ${run.id} is due, but no process has registered job "${run.jobId}". Start a worker that has the job, or cancel the run.`;
  }
  const holders = await limitHolders(engine, run, now);
  if (holders !== undefined) return holders;
  if (run.status === "EXECUTING") {
    return `Run ${run.id} was left by worker ${run.workerId}, whose lease ended at ${time(run.leaseUntil)}; ${stallsOf(run)}the next free worker with job "${run.jobId}" takes it over. Start one if none runs.`;
  }
  if (run.stalls > 0) {
    return `Run ${run.id} is due; ${stallsOf(run)}so workers take it up one at a time. Look at its open task if that goes on.`;
  }
  return `Run ${run.id} is due since ${time(run.dueAt)} and waits for a free worker with job "${run.jobId}". Start one with client.start(), or raise its concurrency.`;
}

function stallsOf(run: RunRecord): string {
  return run.stalls === 0
    ? ""
    : `its last ${run.stalls} execution(s) ended without recording anything; `;
}

/** Names the runs that hold the slots, if it is a limit that holds this one. */
async function limitHolders(
  engine: Engine,
  run: RunRecord,
  now: number,
): Promise<string | undefined> {
  const [key] = run.limitKeys;
  if (key === undefined) return undefined;
  const limit = limitsOf(engine.jobs.all())[key.slice(0, key.indexOf("/"))];
  const { runs } = await engine.rawStorage.listRuns({ statuses: ["EXECUTING"], limit: 1_000 });
  const holders = runs
    .filter((other) => other.limitKeys.includes(key) && (other.leaseUntil ?? 0) > now)
    .map((other) => other.id);
  if (holders.length === 0 || (limit !== undefined && holders.length < limit)) return undefined;
  return `Run ${run.id} is due, but its concurrency limit "${key}" is taken by ${holders.slice(0, 3).join(", ")}${holders.length > 3 ? ` and ${holders.length - 3} more` : ""}. It starts when one of them ends or parks; raise concurrencyLimit for more at a time.`;
}

async function explainWaiting(
  engine: Engine,
  run: RunRecord,
  tasks: readonly TaskRecord[],
  now: number,
): Promise<string> {
  const waiting = tasks.filter((task) => task.status === "WAITING");
  const child = waiting.find((task) => task.kind === "invokeAndWait");
  const next = [...waiting].sort((a, b) => (a.wakeAt ?? NEVER) - (b.wakeAt ?? NEVER))[0];
  if (next?.kind === "backgroundPoll") return explainPoll(run, next);
  if (next !== undefined && isTried(next.kind) && next.wakeAt !== null)
    return explainRetry(run, next);
  if (next?.kind === "wait") {
    return `Run ${run.id} waits at "${next.path}" until ${time(next.wakeAt)}. Nothing needs to be done.`;
  }
  const event = waiting.find((task) => task.kind === "waitForEvent");
  if (event !== undefined) return explainEventWait(run, event);
  const token = waiting.find((task) => task.kind === "waitForToken");
  if (token !== undefined) return explainToken(engine, run, token);
  if (child !== undefined) return explainChild(engine, run, child, waiting.length, now);
  return `Run ${run.id} is parked until ${time(run.dueAt)}. Nothing needs to be done.`;
}

function isTried(kind: string): boolean {
  return ["task", "backgroundFetch", "backgroundFetchResponse"].includes(kind);
}

function explainPoll(run: RunRecord, task: TaskRecord): string {
  const { deadlineAt = NEVER } = decodeTaskData(task.data);
  const last = task.error === null ? "" : ` The last: ${decodeErrorRecord(task.error).message}`;
  return `Run ${run.id} polls at "${task.path}": ${task.attempts} poll(s) so far, the next at ${time(task.wakeAt)}, until ${time(deadlineAt)}.${last} Nothing needs to be done.`;
}

function explainRetry(run: RunRecord, task: TaskRecord): string {
  if (task.error === null)
    return `Run ${run.id} waits to start task "${task.path}", which is delayed until ${time(task.wakeAt)}. Nothing needs to be done.`;
  const { message } = decodeErrorRecord(task.error);
  return `Run ${run.id} waits to retry task "${task.path}" at ${time(task.wakeAt)}; attempt ${task.attempts} failed: ${message} Fix the cause before then.`;
}

function explainEventWait(run: RunRecord, task: TaskRecord): string {
  const { names, source, filter } = JSON.parse(task.filter ?? "{}") as Sought;
  const which = `${names.map((name) => `"${name}"`).join(" or ")} from source "${source}"`;
  const fitting = filter === undefined ? "" : ` whose payload meets ${JSON.stringify(filter)}`;
  const until = task.wakeAt === null ? "" : ` It stops waiting at ${time(task.wakeAt)}.`;
  return `Run ${run.id} waits at "${task.path}" for an event ${which}${fitting}.${until} Send one, or look at getEvent for why one that was sent does not fit.`;
}

async function explainToken(engine: Engine, run: RunRecord, task: TaskRecord): Promise<string> {
  const { childId: id = "" } = decodeTaskData(task.data);
  const [token] = await engine.rawStorage.getRuns([id]);
  // The wait has a timeout, or the token, or both.
  const until = Math.min(task.wakeAt ?? NEVER, token?.deadlineAt ?? NEVER);
  const end = until === NEVER ? "without a timeout" : `until ${time(until)}`;
  return `Run ${run.id} waits at "${task.path}" for token ${id}, ${end}. Complete it with client.completeToken("${id}", data).`;
}

async function explainChild(
  engine: Engine,
  run: RunRecord,
  task: TaskRecord,
  open: number,
  now: number,
): Promise<string> {
  const { childId = "" } = decodeTaskData(task.data);
  const [child] = await engine.rawStorage.getRuns([childId]);
  const state = child === undefined ? "gone" : displayStatus(child, now);
  const others = open > 1 ? ` and ${open - 1} more` : "";
  return `Run ${run.id} waits at "${task.path}" for its child ${childId}${others}, which is ${state}. Look at explainRun("${childId}").`;
}

async function tasksOf(engine: Engine, run: RunRecord): Promise<TaskRecord[]> {
  const tasks: TaskRecord[] = [];
  for (;;) {
    const page = await engine.rawStorage.listTasks(run.id, tasks.at(-1)?.seq ?? 0, 1_000_000);
    tasks.push(...page.tasks);
    if (page.complete || page.tasks.length === 0) return tasks;
  }
}

function time(instant: number | null): string {
  return instant === null || instant === NEVER ? "further notice" : new Date(instant).toISOString();
}
