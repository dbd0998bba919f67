import type { RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { flowStateOf } from "./flow-state.js";
import { decodeMeta } from "./run-meta.js";

/** Which rule of its job a run waits for, if it does. */
export function explainFlow(engine: Engine, run: RunRecord): string | undefined {
  const { wait } = flowStateOf(run);
  if (wait === undefined) return undefined;
  const until = new Date(wait.until).toISOString();
  return wait.rule === "throttle"
    ? explainThrottle(engine, run, until)
    : explainDebounce(engine, run, until);
}

function explainThrottle(engine: Engine, run: RunRecord, until: string): string {
  const { throttle } = engine.jobs.get(run.jobId)?.options ?? {};
  if (throttle === undefined) return `Run ${run.id} is throttled: its turn is at ${until}.`;
  const { limit, period } = throttle;
  const payload = engine.admittedPayload(run);
  const key = payload instanceof Promise ? undefined : throttle.key?.(payload);
  const whose = key === undefined ? "" : ` for key ${JSON.stringify(key)}`;
  return `Run ${run.id} is throttled: job "${run.jobId}" has had its ${limit} starts in ${JSON.stringify(period)}${whose}. Its turn is at ${until}; raise the limit of throttle for more.`;
}

function explainDebounce(engine: Engine, run: RunRecord, until: string): string {
  const { period } = engine.jobs.get(run.jobId)?.options.debounce ?? {};
  const quiet = period === undefined ? "a while" : JSON.stringify(period);
  return `Run ${run.id} is debounced: it goes on at ${until}, unless job "${run.jobId}" is started again before; then that run takes its place. It waits for ${quiet} of quiet, at most for maxDelay.`;
}

export function explainConnections(run: RunRecord): string {
  const { connections = [] } = flowStateOf(run);
  const { accountId } = decodeMeta(run.meta);
  const whose = accountId === undefined ? "" : ` of account ${JSON.stringify(accountId)}`;
  const account = accountId === undefined ? "" : `, { accountId: ${JSON.stringify(accountId)} }`;
  const calls = connections.map((id) => `client.connectionReady(${JSON.stringify(id)}${account})`);
  return `Run ${run.id} waits until ${connections.join(" and ")}${whose} is connected. Connect it, then call ${calls.join(" and ")}.`;
}
