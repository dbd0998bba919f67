import { storedTask } from "../../core/run-tables.js";
import type { CommitResult, RunWrite } from "../../core/storage.js";
import { commitResult } from "../../core/write-verdict.js";
import type { Context } from "./context.js";
import { isRefusal, isUniqueViolation } from "./failure.js";
import { isHeld, isRecordWrite } from "./record-writes.js";
import { formOf, type TaskForm } from "./task-row.js";

/**
 * One record and nothing else, which is what a run of one task after the other
 * writes: a statement of its own, since that with arrays takes half as long
 * again. It answers nothing, which would cost as much as a column: it has no
 * effect unless the answer would be the known one.
 *
 * Undefined: it is not such a write, or the general way has to find out more.
 */
export async function commitLoneRecord(
  context: Context,
  writes: readonly RunWrite[],
): Promise<CommitResult[] | undefined> {
  const [write] = writes;
  if (write === undefined || writes.length > 1 || write.logs !== undefined) return undefined;
  if (write.tasks?.length !== 1 || !isRecordWrite(write)) return undefined;
  const lease = context.held.of(write.runId, write.guard.epoch);
  if (lease === undefined) return undefined;
  const task = storedTask(write.tasks[0], write.writeId);
  const form = formOf([task]);
  try {
    const inserted = await context.driver.insert(statement(context.schema, form), [
      write.runId,
      String(lease.epoch),
      String(lease.inbox),
      ...form.parameters(task),
    ]);
    if (inserted === 1) return [commitResult("ok", { ...lease, status: "EXECUTING" })];
  } catch (error) {
    if (!isUniqueViolation(error) && !isRefusal(error)) throw error;
  }
  context.held.forget(write.runId);
  return undefined;
}

/** By form and schema. To find a prepared statement by a new text costs as much as to write it. */
const statements = new WeakMap<TaskForm, Map<string, string>>();

function statement(schema: string, form: TaskForm): string {
  const ofForm = statements.get(form) ?? new Map<string, string>();
  statements.set(form, ofForm);
  const known = ofForm.get(schema);
  if (known !== undefined) return known;
  const text =
    `insert into ${schema}.tasks (rk, ${form.columns}) select r.rk, ${form.values(4)} from ${schema}.runs r ` +
    `where r.id = $1 and r.epoch = $2::integer and r.inbox = $3::integer and ${isHeld} for share skip locked`;
  ofForm.set(schema, text);
  return text;
}
