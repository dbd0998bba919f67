import { isFinal } from "../../core/run-status.js";
import type { RunWrite, TaskWrite } from "../../core/storage.js";
import type { RunRow } from "./run-row.js";
import type { TaskTable } from "./task-table.js";

/** Whether the write decides about the run itself; else it only carries things for others. */
export function changesRun(write: RunWrite): boolean {
  return write.run !== undefined || write.release !== undefined || write.reopen === true;
}

/** Why an element whose guard holds cannot be applied; undefined if it can. */
export function refusal(row: RunRow, write: RunWrite): string | undefined {
  return taskRefusal(row.tasks, write) ?? runRefusal(row, write) ?? childRefusal(write);
}

function runRefusal(row: RunRow, write: RunWrite): string | undefined {
  const { run, release, guard } = write;
  if (!changesRun(write) || release !== undefined || isFinal(run?.status ?? row.status)) {
    return undefined;
  }
  if (guard.epoch === undefined || isFinal(row.status))
    return "A write that is not the holder's and leaves the run open needs a release.";
  const added = run?.limitKeys?.find((key) => !row.limitKeys.includes(key));
  if (added === undefined) return undefined;
  return `Limit key ${JSON.stringify(added)} cannot be added while the run stays leased.`;
}

function childRefusal({ runs }: RunWrite): string | undefined {
  const wrong = runs?.find(
    (run) => run.lease !== undefined || typeof run.idempotencyKey === "string",
  );
  if (wrong === undefined) return undefined;
  return `Run ${wrong.id} is made by another run: it takes no idempotency key and no lease.`;
}

interface Known {
  readonly seq: number;
  readonly status: string;
}

function taskRefusal(table: TaskTable | null, { tasks }: RunWrite): string | undefined {
  if (tasks === undefined) return undefined;
  const [only] = tasks;
  if (tasks.length === 1 && only !== undefined)
    return refusalOf(only, table?.get(only.path), table?.hasSeq(only.seq) ?? false);
  const byPath = new Map<string, Known>();
  const seqs = new Set<number>();
  for (const task of tasks) {
    const known = byPath.get(task.path) ?? table?.get(task.path);
    const taken = seqs.has(task.seq) || (table?.hasSeq(task.seq) ?? false);
    const reason = refusalOf(task, known, taken);
    if (reason !== undefined) return reason;
    byPath.set(task.path, task);
    seqs.add(task.seq);
  }
  return undefined;
}

function refusalOf(task: TaskWrite, known: Known | undefined, taken: boolean): string | undefined {
  const name = JSON.stringify(task.path);
  if (known?.status === "COMPLETED") return `Task ${name} is completed.`;
  if (known?.seq !== task.replaces)
    return `Task ${name} has ${known === undefined ? "no record" : `seq ${known.seq}`}, and the write replaces ${task.replaces ?? "none"}.`;
  return taken ? `Seq ${task.seq} is taken.` : undefined;
}
