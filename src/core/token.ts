import type { Duration } from "./duration.js";

/**
 * Something that code outside of a run completes once: a person's approval, a
 * callback. `Data` is what it is completed with.
 */
export interface Token<Data = unknown> {
  readonly id: string;
  /**
   * Whoever has it can complete the token: hand it to the service or person that
   * is to answer. Only with `publicUrl` and `secrets` of createClient.
   */
  readonly url?: string;
  /** Carries the type; never set. */
  readonly "~data"?: Data;
}

export interface TokenOptions {
  /** After it nobody can complete the token, and who waits for it gets WAIT_TIMEOUT. Default: never. */
  readonly timeout?: Duration;
}

export interface CompleteTokenResult {
  /** False: it had been completed before, or had expired. The first one counts. */
  readonly completed: boolean;
}
