import type { LogLine, TaskRecord, TaskWrite } from "../../core/storage.js";

/** A completed task, unless told otherwise. */
export function task(path: string, seq: number, parts: Partial<TaskWrite> = {}): TaskWrite {
  return {
    path,
    seq,
    kind: "task",
    status: "COMPLETED",
    attempts: 1,
    output: `"output of ${path}"`,
    error: null,
    startedAt: 1,
    finishedAt: 2,
    wakeAt: null,
    data: null,
    ...parts,
  };
}

/** A task as it should be read, whichever way a store says "no topics". */
export function plain({ topics, filter, replaces: _, ...record }: TaskWrite): TaskRecord {
  return { ...record, topics: [...(topics ?? [])], filter: filter ?? null };
}

export function line(ordinal: number, parts: Partial<LogLine> = {}): LogLine {
  return {
    ordinal,
    stream: "main",
    path: "",
    level: "INFO",
    message: `line ${ordinal}`,
    data: null,
    at: 1,
    ...parts,
  };
}
