import type { Run } from "../core/run.js";
import type { StatusValue, StatusView } from "../core/status.js";
import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData } from "../core/task-data.js";
import type { Engine } from "./engine.js";
import { getRun } from "./reads.js";

const PAGE_BYTES = 4 * 1024 * 1024;

/** The statuses of a run, in the order in which they were created. */
export interface RunStatuses {
  readonly run: Pick<Run, "id" | "status" | "output">;
  readonly statuses: readonly StatusView[];
}

type Version = StatusValue & { readonly updatedAt: Date };

export async function getRunStatuses(engine: Engine, id: string): Promise<RunStatuses | undefined> {
  const run = await getRun(engine, id);
  if (run === undefined) return undefined;
  const versions = new Map<string, Version[]>();
  for await (const record of recordsOf(engine, id)) await addChange(engine, versions, record);
  const statuses = [...versions].flatMap(([key, all]) => {
    const latest = all.at(-1);
    return latest === undefined ? [] : [{ key, ...latest, history: all.slice(0, -1) }];
  });
  const { status, output } = run;
  return { run: { id, status, ...(output === undefined ? undefined : { output }) }, statuses };
}

async function* recordsOf(engine: Engine, id: string): AsyncGenerator<TaskRecord> {
  for (let after = 0; ; ) {
    const page = await engine.rawStorage.listTasks(id, after, PAGE_BYTES);
    yield* page.tasks;
    after = page.tasks.at(-1)?.seq ?? after;
    if (page.complete || page.tasks.length === 0) return;
  }
}

async function addChange(
  engine: Engine,
  versions: Map<string, Version[]>,
  record: TaskRecord,
): Promise<void> {
  if (record.kind !== "status" || record.output === null) return;
  const { statusPath = record.path } = decodeTaskData(record.data);
  const change = (await engine.codec.decode(record.output)) as Partial<StatusValue>;
  const all = versions.get(statusPath) ?? [];
  versions.set(statusPath, all);
  const updatedAt = new Date(record.finishedAt ?? record.startedAt);
  const label = change.label ?? all.at(-1)?.label ?? "";
  all.push({ ...all.at(-1), ...change, label, updatedAt });
}
