import type { CommitResult, RunWrite } from "../../core/storage.js";
import type { Context } from "./context.js";
import { isRefusal, isUniqueViolation } from "./failure.js";
import { answerOf, isHeld, isRecordWrite } from "./record-writes.js";
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
  const [task] = write.tasks;
  const lease = context.held.of(write.runId, write.guard.epoch);
  if (lease === undefined || !context.paths.areNext(write)) return undefined;
  const form = formOf(task, write.tasks);
  try {
    const inserted = await context.driver.insert(statement(context.schema, form), [
      write.runId,
      write.writeId,
      String(lease.epoch),
      String(lease.inbox),
      ...form.parameters(task),
    ]);
    if (inserted === 1) {
      const answer = answerOf(lease);
      context.paths.learnFrom(write, answer);
      return [answer];
    }
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
    `insert into ${schema}.tasks (rk, write_id, ${form.columns}) select r.rk, $2::text, ${form.values(5)} from ${schema}.runs r ` +
    `where r.id = $1 and r.epoch = $3::integer and r.inbox = $4::integer and ${isHeld} for share skip locked`;
  ofForm.set(schema, text);
  return text;
}
