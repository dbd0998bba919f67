import { ConfigError, type StorageError, TaskError } from "../../core/errors.js";
import type { CommitResult, CreateElement, CreateResult, RunWrite } from "../../core/storage.js";
import type { Committer } from "./commit.js";
import type { RunCreator } from "./create.js";
import { isRefusal, reasonOf } from "./failure.js";
import type { Transaction } from "./transaction.js";
import type { Batch } from "./write-queue.js";

interface Parts {
  readonly transaction: Transaction;
  readonly committer: Committer;
  readonly creator: RunCreator;
}

interface Settled {
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/** How it came out, once that is certain. */
type Ending = { readonly result: CommitResult } | { readonly error: unknown };

/** Transactions that users' code writes into, on the adapter's own connection. */
export class UserTransactions {
  readonly #parts: Parts;
  #open: object | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  batch(work: (handle: object) => RunWrite | Promise<RunWrite>, settled: Settled): Batch {
    const within = (handle: object) => {
      this.#open = handle;
      try {
        // The engine has seen to it that it is no promise.
        return work(handle) as RunWrite;
      } finally {
        this.#open = undefined;
      }
    };
    return new UserTransaction(this.#parts, within, settled);
  }

  /** @throws ConfigError TRANSACTION_NOT_OPEN */
  createRuns(handle: unknown, element: CreateElement): CreateResult {
    if (handle === undefined || handle !== this.#open) {
      throw new ConfigError(
        "TRANSACTION_NOT_OPEN",
        "withTransaction on SQLite takes the third argument of a task's callback, in a task with transaction: true, while that callback runs.",
      );
    }
    const { transaction, creator } = this.#parts;
    const { database } = transaction;
    database.run("savepoint pawl_runs");
    try {
      const answer = creator.apply(element);
      database.run("release pawl_runs");
      return answer;
    } catch (error) {
      database.run("rollback to pawl_runs");
      database.run("release pawl_runs");
      transaction.forgetAll();
      if (!isRefusal(error)) throw error;
      return creator.refused(element, error);
    }
  }
}

/** In no group with others: what the user's code does must neither be repeated nor undone for their sake. */
class UserTransaction implements Batch {
  readonly size = 1;
  readonly goesAlone = true;
  readonly #parts: Parts;
  readonly #work: (handle: object) => RunWrite;
  readonly #settled: Settled;
  #write: RunWrite | undefined;
  #ending: Ending | undefined;

  constructor(parts: Parts, work: (handle: object) => RunWrite, settled: Settled) {
    this.#parts = parts;
    this.#work = work;
    this.#settled = settled;
  }

  /** Throws to have everything rolled back. */
  apply(): void {
    const { database } = this.#parts.transaction;
    database.run("savepoint pawl_user");
    try {
      this.#write = this.#work(database.handle);
    } catch (error) {
      throw this.#endsWith({ error });
    }
    try {
      database.run("release pawl_user");
    } catch (error) {
      throw this.#endsWith({ error: endedInside(error) });
    }
    const result = this.#parts.committer.apply(this.#write);
    if (result.result !== "ok") throw this.#endsWith({ result });
    // Known once the commit has worked.
    this.#ending = { result };
  }

  #endsWith(ending: Ending): RolledBack {
    this.#ending = ending;
    return new RolledBack();
  }

  /** Rolled back because of a constraint or the like: of the user's, if our own part was through. */
  refuse(_index: number, cause: unknown): void {
    if (this.#write === undefined) throw cause;
    const wasApplied = this.#ending !== undefined;
    this.#ending = wasApplied
      ? { error: notCommitted(cause) }
      : { result: this.#parts.committer.refused(this.#write, cause) };
  }

  done(): void {
    if (this.#ending !== undefined && "result" in this.#ending)
      this.#settled.resolve(this.#ending.result);
    else this.#settled.reject(this.#ending?.error);
  }

  fail(error: StorageError): void {
    const ending = this.#ending;
    // A commit that failed says nothing of what was going to be its result.
    if (ending === undefined || ("result" in ending && ending.result.result === "ok"))
      this.#settled.reject(error);
    else this.done();
  }
}

class RolledBack extends Error {
  override readonly name = "RolledBack";
}

function endedInside(cause: unknown): TaskError {
  return new TaskError(
    "TRANSACTION_FAILED",
    "The callback of a task with transaction: true has ended the transaction itself. Leave begin, commit and rollback to Pawl, and throw to roll back; what it committed by itself is there.",
    { cause },
  );
}

function notCommitted(cause: unknown): TaskError {
  return new TaskError(
    "TRANSACTION_FAILED",
    `The transaction of a task could not be committed: ${reasonOf(cause)}. All of it was rolled back.`,
    { cause },
  );
}
