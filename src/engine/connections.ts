import {
  type AuthOutcome,
  authOutcome,
  connectionKey,
  isNotConnected,
  withoutResolver,
} from "../core/auth.js";
import type { Context } from "../core/context.js";
import { toErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import type { Ending } from "../core/final.js";
import type { Integration } from "../core/integration.js";
import type { Release, RunPatch, RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import type { Execution } from "./execution.js";
import { flowStateOf } from "./flow-state.js";
import { decodeMeta } from "./run-meta.js";
import { unstarted } from "./unstarted.js";

export interface MissingConnection {
  readonly id: string;
  /** Of its value, as it was before the resolver was asked. */
  readonly version: number;
}

/** For an app that forgets to say that a connection is ready, and for a process that died while it did. */
const ASKED_AGAIN_MS = 300_000;

const MOST_TRIES = 100;
/** What is read, and woken, at a time. */
const PAGE = 200;

/**
 * Asks for the credentials of all integrations side by side, before `run` is
 * called. The execution is live meanwhile: it renews its lease, and ends by
 * cancel, deadline, limit and `stop` as any other, however long a resolver takes.
 */
export async function connect(
  execution: Execution,
  context: Context,
): Promise<Ending | "ready" | "over"> {
  const { job, run, integrations: used, writer } = execution;
  const integrations = Object.entries(job.options.integrations ?? {});
  const answers = await Promise.all(
    integrations.map(([key, integration]) => ask(execution, context, key, integration)),
  );
  if (execution.phase !== "running") return "over";
  const problems = new Map<string, string>();
  const missing = new Map<string, MissingConnection>();
  for (const { key, id, outcome, version } of answers) {
    if (outcome.kind === "problem") problems.set(key, outcome.message);
    else if (outcome.kind === "notConnected") missing.set(id, { id, version });
    else if (outcome.auth !== undefined) used.connections.set(key, outcome.auth);
  }
  if (problems.size > 0) {
    writer.patch(unstarted(run));
    return unresolved(run, problems);
  }
  if (missing.size === 0) return "ready";
  execution.leave({ kind: "connections", missing: [...missing.values()] });
  return "over";
}

interface Answer extends MissingConnection {
  readonly key: string;
  readonly outcome: AuthOutcome;
}

async function ask(
  execution: Execution,
  context: Context,
  key: string,
  integration: Integration,
): Promise<Answer> {
  const { id } = integration;
  try {
    const version = await versionOf(execution.engine, execution.run, integration);
    return { key, id, version, outcome: await outcomeOf(execution.engine, context, integration) };
  } catch (error) {
    // Only the storage gets here, and the run is not failed for it.
    execution.engine.onTrouble(error);
    execution.drop(() => error);
    return { key, id, version: 0, outcome: { kind: "notConnected" } };
  }
}

async function outcomeOf(
  engine: Engine,
  context: Context,
  integration: Integration,
): Promise<AuthOutcome> {
  const resolver = engine.auth.get(integration.id);
  if (resolver === undefined) return withoutResolver(integration);
  try {
    return authOutcome(await resolver(context, integration));
  } catch (error) {
    if (isNotConnected(error)) return { kind: "notConnected" };
    return { kind: "problem", message: toErrorRecord(error).message };
  }
}

/** Read before the resolver is asked: what becomes ready while it looks is noticed. */
async function versionOf(engine: Engine, run: RunRecord, { id }: Integration): Promise<number> {
  if (engine.auth.get(id) === undefined) return 0;
  const key = connectionKey(id, decodeMeta(run.meta).accountId);
  return (await engine.patience.until(() => engine.rawStorage.getValue(key)))?.version ?? 0;
}

function unresolved(run: RunRecord, problems: ReadonlyMap<string, string>): Ending {
  const texts = [...problems].map(([key, message]) => `io.${key}: ${message}`);
  const error = new RunError(
    "AUTH_UNRESOLVED",
    `Run ${run.id} of job "${run.jobId}" has no credentials. ${texts.join("; ")}. Mend the auth resolver or the account's connection, then retry the run.`,
    { details: { problems: Object.fromEntries(problems) } },
  );
  return { status: "UNRESOLVED_AUTH", error: toErrorRecord(error) };
}

/** What is written as the run is given back. Signals for its waits do not make it due: `run` would not get to them. */
export function connectionsPatch(
  { run }: Execution,
  missing: readonly MissingConnection[],
): RunPatch {
  const connections = missing.map(({ id }) => id);
  return {
    status: "WAITING_ON_CONNECTIONS",
    state: JSON.stringify({ ...flowStateOf(run), connections }),
  };
}

export function connectionsRelease(now: number): Release {
  return { wakeAt: now + ASKED_AGAIN_MS, wakeSignals: 0 };
}

/**
 * Called once the run is parked: whoever makes the connection ready changes the
 * value first and then wakes those who are parked, so one of both sees the other.
 */
export async function lookAgain(
  { engine, run }: Execution,
  missing: readonly MissingConnection[],
): Promise<void> {
  const { accountId } = decodeMeta(run.meta);
  for (const { id, version } of missing) {
    const key = connectionKey(id, accountId);
    const now = await engine.patience.until(() => engine.rawStorage.getValue(key));
    if ((now?.version ?? 0) !== version) await wake(engine, run.id);
  }
}

/** False: it goes on already, or is over. */
async function wake(engine: Engine, runId: string): Promise<boolean> {
  const { result } = await engine.queue.submit({
    runId,
    writeId: engine.writeIds.next(),
    guard: { statuses: ["WAITING_ON_CONNECTIONS"] },
    run: { status: "WAITING_ON_CONNECTIONS" },
    release: { wakeAt: engine.storeClock.now(), wakeSignals: 1 },
  });
  return result === "ok";
}

/**
 * Wakes the runs that wait for this connection of this account, a page at a
 * time, and answers how many. A run that was woken is due, and so no longer listed
 * as one that waits: repeated after a crash, it wakes the rest.
 */
export async function connectionReady(
  engine: Engine,
  id: string,
  accountId: string | undefined,
): Promise<number> {
  await bump(engine, connectionKey(id, accountId));
  let woken = 0;
  let cursor: string | undefined;
  do {
    const page = await engine.rawStorage.listRuns({
      statuses: ["WAITING_ON_CONNECTIONS"],
      limit: PAGE,
      ...(cursor === undefined ? undefined : { cursor }),
    });
    const waiting = page.runs.filter((run) => waitsFor(run, id, accountId));
    const answers = await Promise.all(waiting.map((run) => wake(engine, run.id)));
    woken += answers.filter(Boolean).length;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return woken;
}

function waitsFor(run: RunRecord, id: string, accountId: string | undefined): boolean {
  const { connections = [] } = flowStateOf(run);
  return connections.includes(id) && decodeMeta(run.meta).accountId === accountId;
}

async function bump(engine: Engine, key: string): Promise<void> {
  const { rawStorage } = engine;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const version = (await rawStorage.getValue(key))?.version ?? 0;
    if ((await rawStorage.setValue(key, "ready", version)).ok) return;
  }
}
