import type { TaskRecord } from "../core/storage.js";
import type { Execution } from "./execution.js";
import type { Op } from "./op.js";
import type { Draft } from "./task-write.js";

/** Decides a record, which goes with the execution's next write. */
export function decideRecord(
  execution: Execution,
  op: Op,
  draft: Draft,
  onDurable?: "settle" | (() => void),
): void {
  if (!execution.isLive || op.scope.isClosed) return;
  if (op.record === undefined) execution.taskCount++;
  remember(execution, op, execution.writer.record(op, draft, onDurable));
  if (draft.status !== "RUNNING") execution.progressed = true;
  // A start mark alone is no progress (E10).
  else if (!execution.progressed) execution.writer.patch({ lastSeq: execution.writer.seq });
}

/**
 * The end of a wait that is stored and that no other call stands beside. Its code goes on at once: nothing else could
 * be first, so a replay that does not find this record passes the wait in the same way (contract E4).
 */
export function passWait(execution: Execution, op: Op): void {
  if (!execution.isLive || op.scope.isClosed) return;
  remember(execution, op, execution.writer.record(op, { status: "COMPLETED" }, "along"));
  execution.settlement.addLive(op);
}

/** A final record that was committed without the execution's writer. */
export function adoptRecord(execution: Execution, op: Op, record: TaskRecord): void {
  if (!execution.isLive || op.scope.isClosed) return;
  if (op.record === undefined) execution.taskCount++;
  op.record = record;
  remember(execution, op, record);
  execution.progressed = true;
  execution.settlement.addInTurn(op);
}

function remember(execution: Execution, op: Op, record: TaskRecord): void {
  if (op.scope !== execution.root) execution.memo.set(op.path, record);
  if (record.status === "FAILED") execution.lastFailed = record;
  execution.visited?.add(op.path);
}
