import { toErrorRecord } from "../core/error-record.js";
import type { Ending } from "../core/final.js";
import { hasFlow } from "../core/flow.js";
import type { AnyJob } from "../core/job.js";
import type { ClaimedRun, RunWrite, ValueWrite } from "../core/storage.js";
import { unblocked } from "./block.js";
import type { Engine } from "./engine.js";
import { type Gate, GateKeeper } from "./flow-gate.js";
import { type FlowState, flowStateOf, flowTurn, rulesAhead } from "./flow-state.js";
import { unstarted } from "./unstarted.js";

/** A run that does not start. If the values have moved on, the rules are asked again. */
export interface Dropped {
  readonly ending: Ending;
  readonly state: FlowState;
  readonly values: readonly ValueWrite[];
}

/**
 * Asks the rules of the job whether a claimed run may start. Whatever made the
 * run, an event, a schedule or a sender without the job's code, comes by here;
 * an invoke may have asked before. "waits": it was given back until its turn.
 */
export async function passFlow(
  engine: Engine,
  job: AnyJob,
  claimed: ClaimedRun,
): Promise<ClaimedRun | Dropped | "waits"> {
  if (!hasFlow(job.options)) return claimed;
  const { run } = claimed;
  if (rulesAhead(job, flowStateOf(run)).length === 0) return claimed;
  let payload: unknown;
  let turn: string;
  try {
    payload = await engine.admittedPayload(run);
    turn = flowTurn(job, payload);
  } catch (error) {
    // The code of a key is the user's.
    const ending = { status: "FAILED", error: toErrorRecord(error) } as const;
    return { ending, state: flowStateOf(run), values: [] };
  }
  return engine.storeTurns.take(turn, () => decide(engine, job, claimed, payload));
}

async function decide(
  engine: Engine,
  job: AnyJob,
  claimed: ClaimedRun,
  payload: unknown,
): Promise<ClaimedRun | Dropped | "waits"> {
  const { run } = claimed;
  for (;;) {
    const gate = await new GateKeeper(engine, job, run, payload, flowStateOf(run)).ask();
    const { ending, state, values } = gate;
    if (ending !== undefined) return { ending, state, values };
    if (gate.isOpen === true && gate.values.length === 0) continue;
    const { result } = await engine.queue.submit(gateWrite(engine, claimed, gate));
    if (result === "ok" && gate.isOpen === true) continue;
    if (result === "ok" && gate.state.wait === undefined)
      return { ...claimed, run: { ...run, state: JSON.stringify(gate.state) } };
    // Another start was decided on meanwhile.
    if (result !== "conflict") return "waits";
  }
}

function gateWrite(engine: Engine, { run }: ClaimedRun, gate: Gate): RunWrite {
  const { state, values } = gate;
  const write = {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    values,
  };
  if (gate.isOpen === true) return write;
  const patch = { state: JSON.stringify(state) };
  if (state.wait === undefined) return { ...write, run: patch };
  const status = run.lastSeq === 0 ? "PENDING" : "WAITING";
  // Its code was never called, also if a worker died over this question before.
  const asked = run.generation === 1 ? { ...run, executionCount: 1 } : run;
  // A run that has not started yet is not hurried by signals.
  return {
    ...write,
    run: { ...patch, ...unblocked(run), ...unstarted(asked), status },
    release: { wakeAt: state.wait.until, wakeSignals: 0 },
  };
}
