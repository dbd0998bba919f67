import { isFinal } from "../../core/run-status.js";
import type { CommitOutcome, CommitResult, RunPatch, RunWrite } from "../../core/storage.js";
import { NEVER } from "../../core/storage.js";
import type { MemoryData } from "./data.js";
import { applyEffects } from "./effects.js";
import { changesRun, refusal } from "./refusal.js";
import { frozenCopy, type RunRow } from "./run-row.js";
import { storedTask, TaskTable } from "./task-table.js";

export function commitWrite(data: MemoryData, write: RunWrite, now: number): CommitResult {
  const row = data.identities.run(write.runId);
  if (row === undefined)
    return { result: "missing", epoch: 0, status: "PENDING", inbox: 0, leaseUntil: null };
  const outcome = guardOutcome(data, row, write);
  if (outcome !== undefined) return answer(row, outcome);
  const reason = refusal(row, write);
  if (reason !== undefined) return { ...answer(row, "rejected"), reason };
  writeTasks(data, row, write);
  if (isTasksOnly(write)) return answer(row, "ok");
  const leaseRefused = writeRun(data, row, write, now);
  return leaseRefused ? { ...answer(row, "ok"), leaseRefused } : answer(row, "ok");
}

function answer(row: RunRow, result: CommitOutcome): CommitResult {
  const { epoch, status, inbox, leaseUntil } = row;
  return { result, epoch, status, inbox, leaseUntil };
}

function guardOutcome(data: MemoryData, row: RunRow, write: RunWrite): CommitOutcome | undefined {
  const { guard, writeId, values } = write;
  if (isRepeated(row, write, writeId)) return "ok";
  if (isFinal(row.status) && write.reopen !== true) return "final";
  if (guard.epoch !== undefined && guard.epoch !== row.epoch) return "fenced";
  if (guard.statuses !== undefined && !guard.statuses.includes(row.status)) return "conflict";
  if (guard.inbox !== undefined && guard.inbox !== row.inbox) return "conflict";
  if (guard.generation !== undefined && guard.generation !== row.generation) return "conflict";
  const moved = values?.some(({ key, expected }) => !data.values.matches(key, expected));
  return moved === true ? "conflict" : undefined;
}

function isRepeated(row: RunRow, { tasks }: RunWrite, writeId: string): boolean {
  if (row.writeId === writeId) return true;
  const table = row.tasks;
  if (tasks === undefined || table === null) return false;
  for (const task of tasks) if (table.get(task.path)?.writeId === writeId) return true;
  return false;
}

function writeTasks(data: MemoryData, row: RunRow, { tasks, writeId }: RunWrite): void {
  if (tasks === undefined) return;
  row.tasks ??= new TaskTable();
  for (const task of tasks) {
    const replaced = row.tasks.get(task.path);
    const stored = storedTask(task, writeId);
    if (replaced !== undefined) data.topics.remove(replaced);
    row.tasks.put(stored, replaced);
    data.topics.add(row, stored);
  }
}

function isTasksOnly(write: RunWrite): boolean {
  return (
    write.run === undefined &&
    write.release === undefined &&
    write.leaseUntil === undefined &&
    write.signalsRead === undefined &&
    write.signals === undefined &&
    write.watches === undefined &&
    write.runs === undefined &&
    write.logs === undefined &&
    write.values === undefined &&
    write.reopen === undefined
  );
}

/** Everything but the tasks. Answers whether a longer lease was refused. */
function writeRun(data: MemoryData, row: RunRow, write: RunWrite, now: number): boolean {
  row.writeId = write.writeId;
  if (write.signalsRead !== undefined) row.markRead(write.signalsRead);
  let leaseRefused = false;
  if (changesRun(write) || write.leaseUntil !== undefined) {
    data.due.remove(row);
    if (changesRun(write)) changeRun(data, row, write, now);
    leaseRefused = extensionRefused(data, row, write.leaseUntil, now);
    data.settleDue(row, now);
  }
  // An outsider's lines go with the epoch that it raised, lest they be taken for the holder's.
  row.writeLog(write.logs, write.guard.epoch ?? row.epoch);
  for (const { key, value } of write.values ?? []) data.values.write(key, value, undefined);
  // Last, since a watch may be answered by a signal to this very run, which must find it parked.
  applyEffects(data, row, write, now);
  return leaseRefused;
}

function changeRun(data: MemoryData, row: RunRow, write: RunWrite, now: number): void {
  const wasFinal = isFinal(row.status);
  const byOutsider = write.guard.epoch === undefined || wasFinal;
  if (byOutsider || write.release !== undefined) row.epoch += 1;
  if (wasFinal) row.generation += 1;
  if (write.run !== undefined) patchRun(data, row, write.run);
  const over = isFinal(row.status);
  if (over || wasFinal) row.finishedAt = write.run?.finishedAt ?? (over ? now : null);
  if (over !== wasFinal) data.topics.follow(row);
  if (over || byOutsider || write.release !== undefined) data.letGo(row, now);
  if (over) data.setDeadline(row, null);
  if (write.release === undefined) return;
  row.wakeAt = write.release.wakeAt ?? NEVER;
  row.wakeSignals = write.release.wakeSignals;
  row.keep = !byOutsider && write.release.keep === true;
}

function extensionRefused(
  data: MemoryData,
  row: RunRow,
  leaseUntil: number | undefined,
  now: number,
): boolean {
  if (leaseUntil === undefined || row.leaseUntil === null) return false;
  if (row.leaseUntil <= now && row.limitKeys.length > 0) return true;
  row.leaseUntil = Math.max(row.leaseUntil, leaseUntil);
  data.slots.extend(row);
  return false;
}

function patchRun(data: MemoryData, row: RunRow, patch: RunPatch): void {
  if (patch.limitKeys !== undefined) {
    const counted = data.slots.free(row);
    row.limitKeys = frozenCopy(patch.limitKeys);
    if (counted) data.slots.take(row);
  }
  if (patch.tags !== undefined) {
    for (const tag of row.tags) data.byTag.remove(tag, row);
    row.tags = frozenCopy(patch.tags);
    for (const tag of row.tags) data.byTag.add(tag, row);
  }
  if (patch.deadlineAt !== undefined) data.setDeadline(row, patch.deadlineAt);
  row.status = patch.status ?? row.status;
  row.version = patch.version ?? row.version;
  row.priority = patch.priority ?? row.priority;
  row.executionCount = patch.executionCount ?? row.executionCount;
  row.stalls = patch.stalls ?? row.stalls;
  row.lastSeq = patch.lastSeq ?? row.lastSeq;
  if (patch.payload !== undefined) row.payload = patch.payload;
  if (patch.admitted !== undefined) row.admitted = patch.admitted;
  if (patch.output !== undefined) row.output = patch.output;
  if (patch.error !== undefined) row.error = patch.error;
  if (patch.blocked !== undefined) row.blocked = patch.blocked;
  if (patch.maxDurationMs !== undefined) row.maxDurationMs = patch.maxDurationMs;
  if (patch.startedAt !== undefined) row.startedAt = patch.startedAt;
  if (patch.finishedAt !== undefined) row.finishedAt = patch.finishedAt;
  if (patch.meta !== undefined) row.meta = patch.meta;
  if (patch.state !== undefined) row.state = patch.state;
}
