import {
  type AuthOutcome,
  authOutcome,
  connectionKey,
  isNotConnected,
  withoutResolver,
} from "../core/auth.js";
import { toErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import type { Ending } from "../core/final.js";
import type { ConnectionAuth, Integration } from "../core/integration.js";
import type { AnyJob } from "../core/job.js";
import type { RunRecord, RunWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { flowStateOf } from "./flow-state.js";
import { contextOfRun } from "./run-context.js";
import { decodeMeta } from "./run-meta.js";
import { unstarted } from "./unstarted.js";

/** Credentials by the key under which the job has the integration. */
export type Connections = ReadonlyMap<string, ConnectionAuth>;

/** For an app that forgets to say that a connection is ready, and for a process that died while it did. */
const ASKED_AGAIN_MS = 300_000;

const MOST_TRIES = 100;

/**
 * The credentials of a run about to execute. "waits": a connection is missing,
 * and the run was given back until it is there.
 */
export async function connectionsOf(
  engine: Engine,
  job: AnyJob,
  run: RunRecord,
): Promise<Connections | Ending | "waits"> {
  const integrations = Object.entries(job.options.integrations ?? {});
  const outcomes = await Promise.all(
    integrations.map(async ([key, integration]) => ({
      key,
      integration,
      version: await versionOf(engine, run, integration),
      outcome: await outcomeOf(engine, run, integration),
    })),
  );
  const problems = new Map<string, string>();
  const connections = new Map<string, ConnectionAuth>();
  const missing: { readonly id: string; readonly version: number }[] = [];
  for (const { key, integration, outcome, version } of outcomes) {
    if (outcome.kind === "problem") problems.set(key, outcome.message);
    else if (outcome.kind === "notConnected") missing.push({ id: integration.id, version });
    else if (outcome.auth !== undefined) connections.set(key, outcome.auth);
  }
  if (problems.size > 0) return unresolved(run, problems);
  if (missing.length === 0) return connections;
  await waitForConnections(engine, run, missing);
  return "waits";
}

async function outcomeOf(
  engine: Engine,
  run: RunRecord,
  integration: Integration,
): Promise<AuthOutcome> {
  const resolver = engine.auth.get(integration.id);
  if (resolver === undefined) return withoutResolver(integration);
  try {
    const context = contextOfRun(engine, run, () => new AbortController().signal);
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

/**
 * Parks first, then looks again: whoever makes the connection ready changes the
 * value first and then wakes those who are parked, so one of both sees the other.
 */
async function waitForConnections(
  engine: Engine,
  run: RunRecord,
  missing: readonly { readonly id: string; readonly version: number }[],
): Promise<void> {
  const connections = missing.map(({ id }) => id);
  const write: RunWrite = {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: {
      ...unstarted(run),
      status: "WAITING_ON_CONNECTIONS",
      state: JSON.stringify({ ...flowStateOf(run), connections }),
    },
    // A signal of something else brings no connection.
    release: { wakeAt: engine.storeClock.now() + ASKED_AGAIN_MS, wakeSignals: 0 },
  };
  const { result } = await engine.queue.submit(write);
  if (result !== "ok") return;
  engine.emitter.emit("runWaiting", { id: run.id, jobId: run.jobId });
  const accountId = decodeMeta(run.meta).accountId;
  for (const { id, version } of missing) {
    const key = connectionKey(id, accountId);
    const now = await engine.patience.until(() => engine.rawStorage.getValue(key));
    if ((now?.version ?? 0) !== version) await wake(engine, run.id);
  }
}

async function wake(engine: Engine, runId: string): Promise<void> {
  await engine.queue.submit({
    runId,
    writeId: engine.writeIds.next(),
    guard: { statuses: ["WAITING_ON_CONNECTIONS"] },
    run: { status: "WAITING_ON_CONNECTIONS" },
    release: { wakeAt: engine.storeClock.now(), wakeSignals: 1 },
  });
}

/** Wakes the runs that wait for this connection of this account. Answers how many. */
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
      limit: 200,
      ...(cursor === undefined ? undefined : { cursor }),
    });
    for (const run of page.runs) {
      const { connections = [] } = flowStateOf(run);
      if (!connections.includes(id) || decodeMeta(run.meta).accountId !== accountId) continue;
      await wake(engine, run.id);
      woken++;
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return woken;
}

async function bump(engine: Engine, key: string): Promise<void> {
  const { rawStorage } = engine;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const version = (await rawStorage.getValue(key))?.version ?? 0;
    if ((await rawStorage.setValue(key, "ready", version)).ok) return;
  }
}
