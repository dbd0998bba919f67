import type { Storage } from "../core/storage.js";

/** Fresh data of the adapter under test. */
export interface TestStore {
  /** An instance on this data, not initialised: called more than once, each is like a process of its own. */
  open(): Storage | Promise<Storage>;
  /** After the instances were closed. */
  dispose?(): void | Promise<void>;
  /** Lets time pass for a store that does not use the given clock. */
  advance?(ms: number): Promise<void>;
}
