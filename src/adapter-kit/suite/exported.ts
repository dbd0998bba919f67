import type { Storage, StoredItem } from "../../core/storage.js";
import type { Fixture } from "./fixture.js";
import { plain } from "./samples.js";

/** All that is in a store, read in pages of about so many bytes. */
export async function exported(storage: Storage, byteBudget = 1_000): Promise<StoredItem[]> {
  const items: StoredItem[] = [];
  let after: string | undefined;
  do {
    const page = await storage.exportRuns?.({ byteBudget, ...(after && { after }) });
    items.push(...(page?.items ?? []));
    after = page?.next;
  } while (after !== undefined);
  return items;
}

export async function importAll(storage: Storage, items: readonly StoredItem[]): Promise<void> {
  for (let at = 0; at < items.length; at += 3)
    await storage.importRuns?.(structuredClone(items.slice(at, at + 3)));
}

/** The same things in a second store, which is used from then on. */
export async function moved(store: Fixture): Promise<Fixture> {
  const other = await store.other();
  await importAll(other.a, await exported(store.a));
  return other;
}

/** Whatever their order, and whichever way a store says "no topics". */
export function texts(items: readonly StoredItem[]): string[] {
  return items.map((item) =>
    JSON.stringify(item.kind === "task" ? { ...item, task: plain(item.task) } : item, sorted),
  );
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
