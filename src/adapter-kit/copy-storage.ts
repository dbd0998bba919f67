import { assertCopied, COPY_MARK, type CopyMark, copyMark } from "../core/copy-mark.js";
import { ConfigError, StorageError } from "../core/errors.js";
import { assertOptions } from "../core/options.js";
import type { Storage, StoredItem } from "../core/storage.js";
import { systemClock } from "../engine/system-clock.js";
import { type CopyCounts, Digest } from "./copy-digest.js";

export type { CopyCounts } from "./copy-digest.js";

export interface CopyProgress {
  /** First everything is copied, then both stores are read and compared. */
  readonly phase: "copy" | "compare";
  /** Of this call and phase: a copy that goes on does not count what it finds. */
  readonly done: CopyCounts;
}

export interface CopyOptions {
  /** Called after each batch, of some thousand things or a few megabytes. */
  readonly onProgress?: (progress: CopyProgress) => void;
}

/** What the target holds now. */
export interface CopySummary extends CopyCounts {
  /** Runs that a worker of the source held when it was read. They go on when their leases have run out. */
  readonly held: number;
}

/** Read and written at a time, about. */
const BATCH_BYTES = 4 * 2 ** 20;

type Transferable = Storage & Required<Pick<Storage, "exportRuns" | "importRuns">>;

/**
 * Copies everything from one store into another, empty one: runs in every state with their tasks, waits, signals and
 * logs, events, schedules, tokens, values, and which ids and idempotency keys are taken. Ids, sequence numbers, epochs
 * and instants stay as they are, so work goes on in the target as it would have in the source.
 *
 * **Stop all clients on the source first**, senders as well, and do not start them on it again: what they write during
 * the copy may be missed, and what they execute after it is executed in the target, too. The source is not changed.
 *
 * After a crash call it again with the same stores. Until it has ended no client starts on the target
 * (`COPY_UNFINISHED`). Both stores are opened, and closed in the end: pass instances of their own. Memory is bounded by
 * a few batches and the largest single value.
 *
 * @throws StorageError COPY_TARGET_NOT_EMPTY, COPY_MISMATCH, COPY_UNFINISHED (the source is half a copy itself),
 *   COPY_UNSUPPORTED
 * @throws ConfigError OPTION_INVALID
 * @example await copyStorage(sqlite("app.db"), postgres(process.env.DATABASE_URL));
 */
export async function copyStorage(
  from: Storage,
  to: Storage,
  options: CopyOptions = {},
): Promise<CopySummary> {
  assertOptions(options, ["onProgress"], "copyStorage");
  const source = transferable(from, "source");
  const target = transferable(to, "target");
  if (from === to)
    throw new ConfigError("OPTION_INVALID", "copyStorage got one storage as source and target.", {
      details: { option: "to" },
    });
  try {
    await source.init({ clock: systemClock });
    await target.init({ clock: systemClock });
    return await new Copy(source, target, options).run();
  } finally {
    await source.close();
    await target.close();
  }
}

function transferable(storage: Storage, role: string): Transferable {
  if (storage.exportRuns !== undefined && storage.importRuns !== undefined)
    return storage as Transferable;
  throw new StorageError(
    "COPY_UNSUPPORTED",
    `The ${role} of copyStorage, ${JSON.stringify(storage.name)}, has no exportRuns and importRuns. Its adapter has to implement both.`,
  );
}

class Copy {
  readonly #source: Transferable;
  readonly #target: Transferable;
  readonly #options: CopyOptions;

  constructor(source: Transferable, target: Transferable, options: CopyOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
  }

  async run(): Promise<CopySummary> {
    assertCopied(this.#source.name, await this.#source.getValue(COPY_MARK));
    const mark = await this.#begin();
    await deliverAll(this.#source);
    await this.#copy(mark);
    const summary = await this.#compare();
    const finishedAt = await this.#target.now();
    await this.#mark({ createdAt: mark.createdAt, finishedAt });
    return summary;
  }

  /** Where a copy that was broken off has come to, or a new beginning. */
  async #begin(): Promise<CopyMark> {
    const mark = copyMark(await this.#target.getValue(COPY_MARK));
    if (mark?.finishedAt !== undefined) {
      const at = new Date(mark.finishedAt).toISOString();
      throw this.#notEmpty(
        `A copy into it ended at ${at}: if it was this one, nothing is left to do.`,
      );
    }
    if (mark !== undefined) return mark;
    for await (const { items } of pagesOf(this.#target, undefined, 1))
      if (items.length > 0) throw this.#notEmpty("Copy into a new file or schema.");
    const first = { createdAt: 0 };
    // Of two who begin at a time the second goes on from the first's mark.
    await this.#target.setValue(COPY_MARK, JSON.stringify(first), 0);
    return first;
  }

  #notEmpty(advice: string): StorageError {
    const { name } = this.#target;
    return new StorageError(
      "COPY_TARGET_NOT_EMPTY",
      `The target of copyStorage, a ${name} store, holds something already. ${advice}`,
    );
  }

  async #copy(mark: CopyMark): Promise<void> {
    const creation = new Creation(mark.createdAt);
    const done = new Digest();
    for await (const page of pagesOf(this.#source, mark.after, BATCH_BYTES)) {
      const items = page.items.map((item) => creation.inOrder(item));
      for (const item of items) done.count(item);
      if (items.length > 0) await this.#target.importRuns(items);
      if (page.next !== undefined)
        await this.#mark({ after: page.next, createdAt: creation.latest });
      this.#options.onProgress?.({ phase: "copy", done: done.counts });
    }
  }

  async #mark(mark: CopyMark): Promise<void> {
    await this.#target.setValue(COPY_MARK, JSON.stringify(mark));
  }

  /** Reads both stores once more, since neither what was written meanwhile nor what was lost shows in a count of writes. */
  async #compare(): Promise<CopySummary> {
    const wanted = new Digest();
    const found = new Digest();
    const creation = new Creation(0);
    const now = await this.#source.now();
    let held = 0;
    for await (const { items } of pagesOf(this.#source, undefined, BATCH_BYTES)) {
      for (const item of items) {
        wanted.add(creation.inOrder(item));
        if (item.kind === "run" && (item.run.leaseUntil ?? 0) > now) held += 1;
      }
    }
    for await (const { items } of pagesOf(this.#target, undefined, BATCH_BYTES)) {
      for (const item of items) found.add(item);
      this.#options.onProgress?.({ phase: "compare", done: found.counts });
    }
    const differences = wanted.differencesFrom(found);
    if (differences.length > 0) throw mismatch(differences, wanted.counts, found.counts);
    return { ...found.counts, held };
  }
}

function mismatch(
  kinds: readonly (keyof CopyCounts)[],
  source: CopyCounts,
  target: CopyCounts,
): StorageError {
  const facts = kinds.map((kind) => `${source[kind]} and ${target[kind]} ${kind}`);
  return new StorageError(
    "COPY_MISMATCH",
    `Source and target of copyStorage hold different things: ${facts.join(", ")}. The source was written to meanwhile. Stop all clients on it, empty the target, and copy again.`,
    { details: { kinds, source, target } },
  );
}

/** What the store holds, but for the mark of a copy. */
async function* pagesOf(storage: Transferable, after: string | undefined, byteBudget: number) {
  for (let place = after, isFirst = true; isFirst || place !== undefined; isFirst = false) {
    const page = await storage.exportRuns({
      byteBudget,
      ...(place === undefined ? undefined : { after: place }),
    });
    const items = page.items.filter((item) => item.kind !== "value" || item.key !== COPY_MARK);
    place = page.next;
    yield { items, next: page.next };
  }
}

/** What a run does to others is a part of the copy only once they have it (S10). */
async function deliverAll(storage: Storage): Promise<void> {
  for (let before = Number.POSITIVE_INFINITY; ; ) {
    const { left = 0 } = (await storage.deliver?.()) ?? {};
    if (left === 0) return;
    if (left >= before)
      throw new StorageError(
        "STORAGE_FAILED",
        `The source of copyStorage, ${JSON.stringify(storage.name)}, keeps ${left} effects that it cannot deliver. They would be missing in the copy.`,
      );
    before = left;
  }
}

/**
 * Some stores find runs by their instant of creation in the order of their creation. Where several processes of a
 * fleet created them, one may be some milliseconds early: it gets the instant of the one before it.
 */
class Creation {
  latest: number;

  constructor(latest: number) {
    this.latest = latest;
  }

  inOrder(item: StoredItem): StoredItem {
    if (item.kind !== "run") return item;
    this.latest = Math.max(this.latest, item.run.createdAt);
    if (item.run.createdAt === this.latest) return item;
    return { ...item, run: { ...item.run, createdAt: this.latest } };
  }
}
