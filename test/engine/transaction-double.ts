import type { CommitResult, RunWrite, Storage } from "../../src/core/storage.js";

/** What a callback writes to. */
export interface Rows {
  insert(row: string): void;
}

type Fault = "lost before" | "lost after" | "constraint";

/** A database beside a storage, whose rows are there when a record is, and not otherwise. */
export class Database {
  readonly rows: string[] = [];
  /** Of the next transactions. */
  faults: (Fault | undefined)[] = [];
  /** Answers instead of the storage. */
  answers: (CommitResult | undefined)[] = [];

  /** The same storage, with transactions. */
  on(storage: Storage): Storage<Rows> {
    const database = this;
    return new Proxy(storage, {
      get(target, name) {
        if (name === "capabilities")
          return { ...target.capabilities, synchronousTransactions: false };
        if (name === "commitWith")
          return (work: (tx: Rows) => RunWrite | Promise<RunWrite>) =>
            database.#commit(target, work);
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    }) as Storage<Rows>;
  }

  async #commit(
    storage: Storage,
    work: (tx: Rows) => RunWrite | Promise<RunWrite>,
  ): Promise<CommitResult> {
    const rows: string[] = [];
    const write = await work({ insert: (row) => rows.push(row) });
    const fault = this.faults.shift();
    if (fault === "lost before") throw new Error("connection lost");
    if (fault === "constraint") throw new Error("violates a constraint");
    const [result] = [this.answers.shift() ?? (await storage.commit([write]))[0]];
    if (result?.result === "ok") this.rows.push(...rows);
    if (fault === "lost after" || result === undefined) throw new Error("connection lost");
    return result;
  }
}
