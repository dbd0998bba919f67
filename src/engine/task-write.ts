import type { TaskStatus, TaskWrite } from "../core/storage.js";
import type { Op } from "./op.js";

/** What is decided about one record; the rest of its columns follows from the operation. */
export interface Draft {
  readonly status: TaskStatus;
  readonly attempts?: number;
  readonly output?: string | null;
  readonly error?: string | null;
  readonly startedAt?: number;
  readonly finishedAt?: number | null;
  readonly wakeAt?: number | null;
  readonly data?: string | null;
  /** Of an open event wait. */
  readonly topics?: readonly string[];
  readonly filter?: string;
}

interface Place {
  readonly seq: number;
  readonly now: number;
  /** Seq of the stored record that gives way. */
  readonly replaces: number | undefined;
}

/** The record of one operation, with what it keeps from the one before. */
export function taskWrite(op: Op, draft: Draft, { seq, now, replaces }: Place): TaskWrite {
  const earlier = op.record;
  const done = draft.status === "COMPLETED" || draft.status === "FAILED";
  const write: TaskWrite = {
    path: op.path,
    seq,
    kind: op.kind,
    status: draft.status,
    attempts: draft.attempts ?? earlier?.attempts ?? 0,
    output: draft.output ?? null,
    error: draft.error ?? null,
    startedAt: draft.startedAt ?? earlier?.startedAt ?? now,
    finishedAt: draft.finishedAt ?? (done ? now : null),
    wakeAt: draft.wakeAt ?? null,
    data: draft.data ?? null,
  };
  const { topics, filter } = draft;
  if (topics === undefined && replaces === undefined) return write;
  return {
    ...write,
    ...(topics === undefined ? undefined : { topics, filter: filter ?? null }),
    ...(replaces === undefined ? undefined : { replaces }),
  };
}
