import { ConfigError } from "./errors.js";
import { assertText, type Key } from "./key.js";
import { describe } from "./options.js";

/** Most UTF-8 bytes of a name. */
const MAX_NAME_BYTES = 512;

/**
 * Key-value data, as code of a run gets it: each call takes a key first and is
 * remembered, so a replay sees what the first execution saw. A change and its
 * record are one commit: no crash loses one or makes it twice.
 */
export interface KeyedStore {
  /** undefined if there is no value, or if that is the value. To see later changes, read again under another key. */
  get<T = unknown>(key: Key, name: string): Promise<T | undefined>;
  /** Gives the value back as it is stored; undefined is a value, too. At most 256 KiB encoded (`caps.storeValueBytes`). @throws PayloadError VALUE_TOO_LARGE */
  set<T>(key: Key, name: string, value: T): Promise<T>;
  has(key: Key, name: string): Promise<boolean>;
  /** False if there was none. */
  delete(key: Key, name: string): Promise<boolean>;
  /** Adds `by` (default 1) to a number and gives the sum; no value counts as 0. @throws RunError STORE_VALUE_INVALID */
  increment(key: Key, name: string, by?: number): Promise<number>;
  /**
   * Sets `next` if `get` would give `expected` at that moment, and says whether it
   * did; so with undefined also if there is no value. Values are compared as the
   * client's codec stores them, so the order of an object's fields counts.
   * @throws PayloadError VALUE_NOT_SERIALIZABLE, VALUE_TOO_LARGE
   */
  compareAndSet<T>(key: Key, name: string, expected: T | undefined, next: T): Promise<boolean>;
}

/** The three stores of a run. */
export interface Stores {
  /** Shared by all who use the storage; `client.store.env` outside of runs. */
  readonly env: KeyedStore;
  /** Shared by the runs of one job. */
  readonly job: KeyedStore;
  /** Of this run alone; goes with it at a purge. */
  readonly run: KeyedStore;
}

/** `client.store.env`: the same data as `io.store.env`, for code outside of runs. */
export interface EnvStore {
  get<T = unknown>(name: string): Promise<T | undefined>;
  set<T>(name: string, value: T): Promise<T>;
  has(name: string): Promise<boolean>;
  delete(name: string): Promise<boolean>;
  increment(name: string, by?: number): Promise<number>;
  compareAndSet<T>(name: string, expected: T | undefined, next: T): Promise<boolean>;
}

/** Key of a shared value in the storage; no job id has a slash. */
export function valueKey(jobId: string | undefined, name: string): string {
  return jobId === undefined ? `store:env/${name}` : `store:job:${jobId}/${name}`;
}

export function checkedName(name: unknown, where: string): string {
  if (typeof name === "string" && name !== "") {
    assertText(name, `name of ${where}`, { maxBytes: MAX_NAME_BYTES });
    return name;
  }
  throw new ConfigError(
    "OPTION_INVALID",
    `${where} takes the name of a value, a string of 1 to ${MAX_NAME_BYTES} bytes, got ${describe(name)}.`,
  );
}

export function checkedStep(by: unknown, where: string): number {
  if (typeof by === "number" && Number.isFinite(by)) return by;
  throw new ConfigError("OPTION_INVALID", `${where} adds a finite number, got ${describe(by)}.`);
}
