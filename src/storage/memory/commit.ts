import { RunLog, storedTask, TaskTable } from "../../core/run-tables.js";
import type { CommitResult, RunWrite } from "../../core/storage.js";
import { afterWrite } from "../../core/stored-run.js";
import { commitResult, commitVerdict, hasRecordsOnly } from "../../core/write-verdict.js";
import type { MemoryData } from "./data.js";
import { applyEffects } from "./effects.js";
import type { RunRow } from "./run-row.js";

/** Of a run that has recorded nothing yet. */
const noTasks = new TaskTable();

export function commitWrite(data: MemoryData, write: RunWrite, now: number): CommitResult {
  const row = data.identities.run(write.runId);
  if (row === undefined) return commitResult("missing");
  const known = { tasks: row.tasks ?? noTasks, values: data.values };
  const verdict = commitVerdict(write, row.stored, known);
  if (verdict !== undefined) return verdict;
  writeTasks(data, row, write);
  const leaseRefused = hasRecordsOnly(write) ? undefined : writeRun(data, row, write, now);
  // An outsider's lines go with the epoch that it raised, lest they be taken for the holder's.
  if (write.logs !== undefined) {
    row.log ??= new RunLog();
    row.log.append(write.logs, write.guard.epoch ?? row.run.epoch);
  }
  for (const value of write.values ?? []) data.values.write(value);
  // Last, since a watch may be answered by a signal to this very run, which must find it parked.
  applyEffects(data, write, now);
  const answer = commitResult("ok", row.run);
  return leaseRefused ? { ...answer, leaseRefused } : answer;
}

function writeTasks(data: MemoryData, row: RunRow, { tasks, writeId }: RunWrite): void {
  if (tasks === undefined) return;
  row.tasks ??= new TaskTable();
  for (const task of tasks) {
    const stored = storedTask(task, writeId);
    const replaced = row.tasks.put(stored);
    if (replaced !== undefined) data.topics.remove(replaced);
    data.topics.add(row, stored);
  }
}

/** Answers whether a longer lease was refused. */
function writeRun(data: MemoryData, row: RunRow, write: RunWrite, now: number): true | undefined {
  const signalsRead = row.inbox?.markRead(write.signalsRead ?? []) ?? 0;
  const { stored, leaseRefused } = afterWrite(row.stored, write, signalsRead, now);
  data.replace(row, stored, now);
  return leaseRefused;
}
