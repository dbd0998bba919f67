import { StorageError } from "./errors.js";
import type { StoredValue } from "./storage.js";

/** Of the value that says how far a copy into this store has come. It stays behind. */
export const COPY_MARK = "$copy";

export interface CopyMark {
  /** `next` of the last page that is in the target; undefined: none is yet. */
  readonly after?: string;
  /** The greatest instant of creation of a run so far. */
  readonly createdAt: number;
  /** Epoch milliseconds. */
  readonly finishedAt?: number;
}

export function copyMark(stored: StoredValue | undefined): CopyMark | undefined {
  return stored && (JSON.parse(stored.value) as CopyMark);
}

/** Half of the runs, or runs without their tasks, are nothing to work with. @throws StorageError COPY_UNFINISHED */
export function assertCopied(name: string, stored: StoredValue | undefined): void {
  const mark = copyMark(stored);
  if (mark === undefined || mark.finishedAt !== undefined) return;
  throw new StorageError(
    "COPY_UNFINISHED",
    `A copy into this ${name} store has begun and not ended. Call copyStorage again with the same two stores: it goes on where it was.`,
  );
}
