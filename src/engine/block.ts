import {
  type ErrorRecord,
  encodeErrorRecord,
  fromErrorRecord,
  toErrorRecord,
} from "../core/error-record.js";
import type { CommitResult, Release, RunPatch, RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import type { Execution } from "./execution.js";
import { storageRefused } from "./execution-errors.js";

const SHORTEST_BLOCK_MS = 60_000;
const LONGEST_BLOCK_MS = 3_600_000;

/** Why a run is blocked and until when it pauses; kept in `blocked`. */
export interface Block {
  readonly error: ErrorRecord;
  readonly version: string;
  readonly pauseMs: number;
}

/** What blocks a run: each time in a row for longer, and signals do not hurry it. */
export function blocked(
  engine: Engine,
  run: RunRecord,
  version: string,
  error: ErrorRecord,
): { readonly patch: RunPatch; readonly release: Release } {
  const earlier = run.blocked === null ? undefined : (JSON.parse(run.blocked) as Block);
  const pauseMs =
    earlier === undefined ? SHORTEST_BLOCK_MS : Math.min(LONGEST_BLOCK_MS, earlier.pauseMs * 2);
  const block: Block = { error, version, pauseMs };
  return {
    patch: { blocked: JSON.stringify(block), error: encodeErrorRecord(error) },
    release: { wakeAt: engine.storeClock.now() + pauseMs, wakeSignals: 0 },
  };
}

/** It got past what blocked it. */
export function unblocked(run: RunRecord): RunPatch {
  return run.blocked === null ? {} : { blocked: null, error: null };
}

export function tellBlocked(engine: Engine, { id, jobId }: RunRecord, record: ErrorRecord): void {
  const error = fromErrorRecord(record);
  engine.say(`Run ${id} of job "${jobId}" is blocked: ${error.message}`);
  engine.emitter.emit("runBlocked", { id, jobId, error });
}

/** A row that the store will not take holds nobody else up: this run pauses with the reason on it. */
export function writeRefused(execution: Execution, result: CommitResult): void {
  const outcome = "The run is parked; it is tried again later.";
  const error = storageRefused(execution.runId, result, outcome);
  execution.engine.onTrouble(error);
  if (execution.phase === "running") {
    execution.leave({ kind: "blocked", error: toErrorRecord(error) });
  } else {
    execution.drop(() => error);
  }
}
