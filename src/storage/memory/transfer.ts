import { assertOwners, importedRun, importedTombstone, itemPage } from "../../core/items.js";
import { isFinal } from "../../core/run-status.js";
import { Inbox, RunLog, storedTask, TaskTable } from "../../core/run-tables.js";
import type {
  ItemPage,
  ItemQuery,
  LogItem,
  RunItem,
  SignalItem,
  StoredItem,
  TaskItem,
} from "../../core/storage.js";
import type { MemoryData } from "./data.js";
import type { RunRow } from "./run-row.js";

export function exportItems(data: MemoryData, query: ItemQuery): ItemPage {
  const { identities, runs, values } = data;
  const held = {
    values: values.entries(),
    tombstones: identities.tombstones(),
    rows: runs.all(),
    runOfKey: (name: string) => identities.runOfKey(name),
  };
  return itemPage(held, query);
}

/** All or none: what may be refused is looked for first. */
export function importItems(data: MemoryData, items: readonly StoredItem[], now: number): void {
  const { identities } = data;
  assertOwners(items, {
    hasRun: (id) => identities.run(id) !== undefined,
    hasTombstone: (id) => identities.isBuried(id),
  });
  for (const item of items) importItem(data, item, now);
}

function importItem(data: MemoryData, item: StoredItem, now: number): void {
  if (item.kind === "value") data.values.restore(item.key, item);
  else if (item.kind === "tombstone") data.identities.restore(importedTombstone(item));
  else if (item.kind === "key") data.identities.restoreKey(item);
  else if (item.kind === "run") importRun(data, item, now);
  else importPart(data, item);
}

function importRun(data: MemoryData, item: RunItem, now: number): void {
  if (data.identities.run(item.run.id) !== undefined) return;
  const row = data.insert(importedRun(item), now, item.key !== null);
  data.slots.take(row);
}

function importPart(data: MemoryData, item: TaskItem | SignalItem | LogItem): void {
  const row = data.identities.run(item.runId);
  if (row === undefined) return;
  if (item.kind === "task") {
    importTask(data, row, item);
  } else if (item.kind === "signal") {
    row.inbox ??= new Inbox();
    row.inbox.restore({ ...item.signal }, item.isRead);
  } else {
    row.log ??= new RunLog();
    row.log.append([item.line], item.epoch);
  }
}

function importTask(data: MemoryData, row: RunRow, { task, writeId }: TaskItem): void {
  row.tasks ??= new TaskTable();
  if (row.tasks.hasSeq(task.seq) || row.tasks.get(task.path) !== undefined) return;
  const stored = storedTask(task, writeId);
  row.tasks.put(stored);
  if (!isFinal(row.run.status)) data.topics.add(row, stored);
}
