import { isFinal } from "./run-status.js";
import type { CommitOutcome, CommitResult, RunRecord, RunWrite, TaskWrite } from "./storage.js";

/** What decides about a write besides the run: its task records and the values that it compares. */
export interface KnownOfWrite {
  readonly tasks: {
    get(path: string): KnownTask | undefined;
    hasSeq(seq: number): boolean;
  };
  readonly values: {
    /** 0 if there is no value. */
    versionOf(key: string): number;
  };
}

interface KnownTask {
  readonly seq: number;
  readonly status: string;
  readonly writeId: string;
}

type RunOfWrite = Pick<
  RunRecord,
  "status" | "epoch" | "inbox" | "generation" | "leaseUntil" | "limitKeys"
>;

/** An answer to a write, with the state of its run, unless that is missing. */
export function commitResult(
  result: CommitOutcome,
  run?: Pick<RunRecord, "epoch" | "status" | "inbox" | "leaseUntil">,
): CommitResult {
  if (run === undefined) return { result, epoch: 0, status: "PENDING", inbox: 0, leaseUntil: null };
  const { epoch, status, inbox, leaseUntil } = run;
  return { result, epoch, status, inbox, leaseUntil };
}

/** The answer to a write that changes nothing; undefined if it is to be applied (S2 to S5). */
export function commitVerdict(
  write: RunWrite,
  stored: { readonly run: RunOfWrite; readonly writeId: string | null },
  known: KnownOfWrite,
): CommitResult | undefined {
  const { run } = stored;
  if (isRepeated(write, stored.writeId, known)) return commitResult("ok", run);
  const outcome = guardOutcome(write, run) ?? valuesOutcome(write, known);
  if (outcome !== undefined) return commitResult(outcome, run);
  const reason = tasksRefusal(write, known) ?? writeRefusal(write, run);
  return reason === undefined ? undefined : { ...commitResult("rejected", run), reason };
}

function isRepeated(write: RunWrite, lastWriteId: string | null, { tasks }: KnownOfWrite): boolean {
  if (write.writeId === lastWriteId) return true;
  return write.tasks?.some(({ path }) => tasks.get(path)?.writeId === write.writeId) ?? false;
}

/** What a guard that does not hold is answered with. The generation matters only to a guard that names it. */
export function guardOutcome(
  { guard, reopen }: RunWrite,
  run: Pick<RunRecord, "status" | "epoch" | "inbox"> & { readonly generation?: number },
): CommitOutcome | undefined {
  if (isFinal(run.status) && reopen !== true) return "final";
  if (guard.epoch !== undefined && guard.epoch !== run.epoch) return "fenced";
  if (guard.statuses !== undefined && !guard.statuses.includes(run.status)) return "conflict";
  if (guard.inbox !== undefined && guard.inbox !== run.inbox) return "conflict";
  const isOther = guard.generation !== undefined && guard.generation !== run.generation;
  return isOther ? "conflict" : undefined;
}

function valuesOutcome(write: RunWrite, { values }: KnownOfWrite): CommitOutcome | undefined {
  const moved = write.values?.some(
    ({ key, expected }) => expected !== undefined && values.versionOf(key) !== expected,
  );
  return moved === true ? "conflict" : undefined;
}

/** Whether the write decides about the run itself; else it only carries things for others. */
export function changesRun(write: RunWrite): boolean {
  return write.run !== undefined || write.release !== undefined || write.reopen === true;
}

/** Whether the write leaves the run row alone (S12): its writeId is in its task records. */
export function hasRecordsOnly(write: RunWrite): boolean {
  return (
    write.tasks !== undefined &&
    write.tasks.length > 0 &&
    write.guard.generation === undefined &&
    write.run === undefined &&
    write.release === undefined &&
    write.leaseUntil === undefined &&
    write.signalsRead === undefined &&
    write.signals === undefined &&
    write.watches === undefined &&
    write.runs === undefined &&
    write.values === undefined &&
    write.reopen === undefined
  );
}

/** Why the contract does not allow such a write of such a run, if it does not. */
export function writeRefusal(
  write: RunWrite,
  run: Pick<RunRecord, "status" | "limitKeys">,
): string | undefined {
  return runRefusal(write, run) ?? childRefusal(write);
}

function runRefusal(
  write: RunWrite,
  { status, limitKeys }: Pick<RunRecord, "status" | "limitKeys">,
): string | undefined {
  const { run, release, guard } = write;
  if (!changesRun(write) || release !== undefined || isFinal(run?.status ?? status))
    return undefined;
  if (guard.epoch === undefined || isFinal(status))
    return "A write that is not the holder's and leaves the run open needs a release.";
  const added = run?.limitKeys?.find((key) => !limitKeys.includes(key));
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

function tasksRefusal({ tasks }: RunWrite, known: KnownOfWrite): string | undefined {
  if (tasks === undefined) return undefined;
  const [only] = tasks;
  if (tasks.length === 1 && only !== undefined)
    return taskRefusal(only, known.tasks.get(only.path), known.tasks.hasSeq(only.seq));
  const byPath = new Map<string, TaskWrite>();
  const seqs = new Set<number>();
  for (const task of tasks) {
    const replaced = byPath.get(task.path) ?? known.tasks.get(task.path);
    const reason = taskRefusal(task, replaced, seqs.has(task.seq) || known.tasks.hasSeq(task.seq));
    if (reason !== undefined) return reason;
    byPath.set(task.path, task);
    seqs.add(task.seq);
  }
  return undefined;
}

function taskRefusal(
  task: TaskWrite,
  replaced: Pick<KnownTask, "seq" | "status"> | undefined,
  isSeqTaken: boolean,
): string | undefined {
  const name = JSON.stringify(task.path);
  if (replaced?.status === "COMPLETED") return `Task ${name} is completed.`;
  if (replaced?.seq !== task.replaces)
    return `Task ${name} has ${replaced === undefined ? "no record" : `seq ${replaced.seq}`}, and the write replaces ${task.replaces ?? "none"}.`;
  return isSeqTaken ? `Seq ${task.seq} is taken.` : undefined;
}
