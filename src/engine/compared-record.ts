import type { ValueWrite } from "../core/storage.js";
import type { Execution } from "./execution.js";
import type { Op } from "./op.js";
import type { Answer } from "./pending-write.js";
import type { Draft } from "./task-write.js";

/**
 * Decides a record that holds only as long as the values it was decided from.
 * It travels in a write of its own, so that a value that moved on refuses
 * nothing else; after "conflict" it is as if it had not been decided.
 */
export function recordCompared(
  execution: Execution,
  op: Op,
  draft: Draft,
  values: readonly ValueWrite[],
): Promise<Answer> {
  if (!execution.isLive || op.scope.isClosed) return Promise.resolve("over");
  const earlier = op.record;
  const known = execution.memo.get(op.path);
  return new Promise((resolve) => {
    const record = execution.writer.recordCompared(op, draft, values, (answer) => {
      if (answer === "conflict") {
        op.record = earlier;
        if (known === undefined) execution.memo.delete(op.path);
        else execution.memo.set(op.path, known);
        if (earlier === undefined) execution.taskCount--;
      }
      resolve(answer);
    });
    if (earlier === undefined) execution.taskCount++;
    if (op.scope !== execution.root) execution.memo.set(op.path, record);
    execution.visited?.add(op.path);
    execution.progressed = true;
  });
}
