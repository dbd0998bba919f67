import { type Identity, keyName } from "./creation.js";
import { StorageError } from "./errors.js";
import { isFinal } from "./run-status.js";
import { type RunTables, type StoredTask, taskRecord, taskSize } from "./run-tables.js";
import type {
  ItemPage,
  ItemQuery,
  KeyItem,
  RunItem,
  StoredItem,
  TaskItem,
  TombstoneItem,
} from "./storage-items.js";
import type { ValueEntry } from "./stored-data.js";
import type { StoredRun } from "./stored-run.js";

/** @param hasKey its idempotency key leads to this run, and not to a later one */
export function runItem(stored: StoredRun, hasKey: boolean): RunItem {
  const { createId, writeId, unread, keyExpiresAt } = stored;
  // How a run is woken is said anew when it is released.
  const isParked = stored.run.leaseUntil === null && !isFinal(stored.run.status);
  return {
    kind: "run",
    run: { ...stored.run },
    createId,
    writeId,
    wakeAt: isParked ? stored.wakeAt : null,
    wakeSignals: isParked ? stored.wakeSignals : 0,
    unread,
    key: hasKey ? { expiresAt: keyExpiresAt } : null,
  };
}

/** What an adapter stores for a run that is imported. */
export function importedRun(item: RunItem): StoredRun {
  const { run, createId, writeId, wakeAt, wakeSignals, unread, key } = item;
  const { limitKeys, tags } = run;
  return {
    run: { ...run, limitKeys: [...limitKeys], tags: [...tags] },
    createId,
    keyExpiresAt: key?.expiresAt ?? null,
    writeId,
    claim: null,
    wakeAt,
    wakeSignals,
    unread,
    keep: false,
  };
}

export function taskItem(runId: string, stored: StoredTask): TaskItem {
  return { kind: "task", runId, writeId: stored.writeId, task: taskRecord(stored) };
}

/** What an adapter keeps of a purged run that is imported. Its key comes later, if it has one. */
export function importedTombstone(item: TombstoneItem): Identity {
  const { id, createId, fingerprint, createdAt, until } = item;
  const run = { id, jobId: "", idempotencyKey: null, fingerprint, createdAt };
  return { run, createId, keyExpiresAt: null, until };
}

/** The same with its key. */
export function tombstoneWithKey(tombstone: Identity, key: KeyItem): Identity {
  const { jobId, idempotencyKey, expiresAt } = key;
  const run = { ...tombstone.run, jobId, idempotencyKey };
  return { ...tombstone, run, keyExpiresAt: expiresAt };
}

/** Who may have items. */
interface KnownOwners {
  hasRun(id: string): boolean;
  hasTombstone(id: string): boolean;
}

/** Before the first of them is imported: a call is done whole or not at all. @throws StorageError STORAGE_INVALID */
export function assertOwners(items: readonly StoredItem[], known: KnownOwners): void {
  const coming = new Set<string>();
  for (const item of items) {
    if (item.kind === "run") coming.add(item.run.id);
    else if (item.kind === "tombstone") coming.add(item.id);
    else if (item.kind !== "value" && !coming.has(item.runId)) {
      const isThere = item.kind === "key" ? known.hasTombstone : known.hasRun;
      if (!isThere(item.runId)) throw ownerMissing(item.kind, item.runId);
    }
  }
}

/** An item belongs to a run, or a key to a tombstone, that is not there. */
export function ownerMissing(kind: StoredItem["kind"], id: string): StorageError {
  return new StorageError(
    "STORAGE_INVALID",
    `A ${kind} of ${JSON.stringify(id)} cannot be imported, for that is not there. Import what exportRuns gives, in its order.`,
    { details: { id } },
  );
}

/** About what an item takes, for budgets. */
export function itemBytes(item: StoredItem): number {
  switch (item.kind) {
    case "run":
      return sizeOf(item.run.payload, item.run.admitted, item.run.output, item.run.error) + 512;
    case "task":
      return taskSize(item.task);
    case "signal":
      return sizeOf(item.signal.ref);
    case "log":
      return sizeOf(item.line.message, item.line.data);
    case "value":
      return sizeOf(item.value);
    default:
      return sizeOf();
  }
}

function sizeOf(...texts: readonly (string | null)[]): number {
  return texts.reduce<number>((size, text) => size + (text?.length ?? 0), 128);
}

/** Everything that a store has, if it has it in memory. */
export interface HeldItems {
  readonly values: Iterable<readonly [string, ValueEntry]>;
  readonly tombstones: Iterable<Identity>;
  /** In the order of their creation. */
  readonly rows: Iterable<RunTables & { readonly stored: StoredRun }>;
  /** The run, or what is left of it, that a name of `keyName` leads to. */
  runOfKey(name: string): string | undefined;
}

/** Items that are made only if their turn has come. */
interface Group {
  readonly size: number;
  items(): StoredItem[];
}

/** What `exportRuns` answers, by a look at everything: for a store without an order of its own. */
export function itemPage(held: HeldItems, { after, byteBudget }: ItemQuery): ItemPage {
  const items: StoredItem[] = [];
  const from = placeOf(after);
  let left = byteBudget;
  let place = 0;
  for (const group of groupsOf(held)) {
    const skipped = Math.min(group.size, Math.max(0, from - place));
    place += group.size;
    if (skipped === group.size) continue;
    for (const item of group.items().slice(skipped)) {
      left -= itemBytes(item);
      if (left < 0 && items.length > 0) return { items, next: String(from + items.length) };
      items.push(item);
    }
  }
  return { items };
}

function placeOf(after = "0"): number {
  if (/^\d{1,15}$/.test(after)) return Number(after);
  throw new StorageError("STORAGE_INVALID", "The place is not one that exportRuns gave.");
}

function* groupsOf(held: HeldItems): Generator<Group> {
  const hasKey = ({ run }: Pick<Identity, "run">) => {
    const name = keyName(run);
    return name !== null && held.runOfKey(name) === run.id;
  };
  for (const [key, { value, version }] of held.values)
    yield { size: 1, items: () => [{ kind: "value", key, value, version }] };
  for (const tombstone of held.tombstones) {
    const keyed = hasKey(tombstone);
    yield { size: keyed ? 2 : 1, items: () => tombstoneItems(tombstone, keyed) };
  }
  for (const row of held.rows) yield runGroup(row, hasKey(row.stored));
}

function tombstoneItems(tombstone: Identity, hasKey: boolean): StoredItem[] {
  const { run, createId, keyExpiresAt, until = 0 } = tombstone;
  const { id, jobId, fingerprint, createdAt, idempotencyKey } = run;
  const item: TombstoneItem = { kind: "tombstone", id, createId, fingerprint, createdAt, until };
  if (!hasKey || idempotencyKey === null) return [item];
  return [item, { kind: "key", jobId, idempotencyKey, runId: id, expiresAt: keyExpiresAt }];
}

function runGroup(
  { stored, tasks, inbox, log }: RunTables & { readonly stored: StoredRun },
  hasKey: boolean,
): Group {
  const { id: runId } = stored.run;
  const size = 1 + (tasks?.all().length ?? 0) + (inbox?.size ?? 0) + (log?.size ?? 0);
  return {
    size,
    items: () => [
      runItem(stored, hasKey),
      ...(tasks?.all() ?? []).map((task) => taskItem(runId, task)),
      ...(inbox?.all() ?? []).map(({ isRead, ...signal }) => ({
        ...{ kind: "signal" as const, runId, signal, isRead },
      })),
      ...(log?.page({ limit: log.size }) ?? []).map(({ position: _, epoch, ...line }) => ({
        ...{ kind: "log" as const, runId, epoch, line },
      })),
    ],
  };
}
