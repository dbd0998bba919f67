import { StorageError } from "../../core/errors.js";
import type { Connection, Driver, Row, SqlValue, Statement } from "./driver.js";
import { isBusy } from "./failure.js";
import { createJobLists } from "./job-lists.js";
import { firstNumber } from "./text.js";

export type Durability = "full" | "relaxed";

const none: readonly SqlValue[] = [];

/** There are about a hundred, and more only where queries of many shapes are asked. */
const MOST_STATEMENTS = 500;

/** One connection with its prepared statements. Everything on it is synchronous. */
export class Database {
  readonly path: string;
  readonly #driver: Driver;
  readonly #statements = new Map<string, Statement>();
  #connection: Connection;
  #durability: Durability = "full";
  #mustReconnect = false;
  #connects = 0;

  constructor(driver: Driver, path: string) {
    this.path = path;
    this.#driver = driver;
    this.#connection = this.#connect();
  }

  /** May be busy while another process switches the same new file to the write-ahead log. */
  configure(durability: Durability): void {
    this.#durability = durability;
    const mode = this.#connection.prepare("pragma journal_mode = wal").get(none)?.[0];
    if (mode !== "wal" && mode !== "memory") {
      throw new StorageError(
        "STORAGE_PATH_INVALID",
        `The SQLite file ${this.path} cannot have a write-ahead log (its journal mode stays ${String(mode)}). Use a local disk, not a network file system.`,
        { details: { path: this.path } },
      );
    }
    this.exec(`pragma synchronous = ${durability === "full" ? "full" : "normal"}`);
    // A checkpoint costs the same for few pages as for many, so a lonely task pays less of it than with the default of 1,000.
    this.exec("pragma wal_autocheckpoint = 4000");
    // Without it the log keeps the size that its largest burst gave it.
    this.exec("pragma journal_size_limit = 67108864");
    this.exec("pragma cache_size = -16000");
    this.exec(createJobLists);
  }

  /** Not by an option of the driver: that would need the log's index file to be there already. */
  configureReadonly(): void {
    this.exec("pragma query_only = on");
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  /** Statements are prepared once: pass constant texts, or ones from a small set. */
  statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size === MOST_STATEMENTS) this.#statements.clear();
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  get(sql: string, values = none): Row | undefined {
    return this.statement(sql).get(values);
  }

  all(sql: string, values = none): Row[] {
    return this.statement(sql).all(values);
  }

  run(sql: string, values = none): number {
    return this.statement(sql).run(values);
  }

  insert(sql: string, values: readonly SqlValue[]): number {
    return this.statement(sql).insert(values);
  }

  /**
   * Outside of a transaction. libsql never resets a statement that was refused
   * as busy, and while it is open every read keeps its snapshot, with which
   * nothing can be written any more; so the connection is given up after that.
   */
  runAlone(sql: string, values: readonly SqlValue[]): number {
    try {
      return this.run(sql, values);
    } catch (error) {
      if (isBusy(error)) this.#mustReconnect = true;
      throw error;
    }
  }

  begin(): void {
    if (this.#mustReconnect) this.#reconnect();
    this.run("begin immediate");
  }

  commit(): void {
    this.run("commit");
  }

  /** The driver's own, which users' code writes through in a transaction of theirs. */
  get handle(): object {
    return this.#connection.handle;
  }

  /**
   * SQLite has already rolled back after some errors, a full disk among them. A connection that cannot
   * roll back, since users' code has left a statement open on it, is of no use any more.
   */
  rollback(): void {
    try {
      this.#connection.exec("rollback");
    } catch (error) {
      const isOver = String(error).includes("no transaction is active");
      if (!isOver && this.path !== ":memory:") this.#mustReconnect = true;
    }
  }

  transaction<T>(work: () => T): T {
    this.begin();
    try {
      const result = work();
      this.commit();
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#connection.close();
  }

  /** Changes when another connection has written, and with a new connection, which does not know. */
  dataVersion(): number {
    const version = firstNumber(this.get("pragma data_version")) ?? 0;
    return this.#connects * 2 ** 32 + version;
  }

  #connect(): Connection {
    this.#connects++;
    const connection = this.#driver.open(this.path);
    // Waiting inside SQLite would block the event loop; busy calls are repeated from outside.
    connection.exec("pragma busy_timeout = 0");
    return connection;
  }

  #reconnect(): void {
    const before = this.#connection;
    this.#connection = this.#connect();
    this.#statements.clear();
    try {
      before.close();
    } catch {
      // In the middle of a statement of the user's. It goes with that.
    }
    this.configure(this.#durability);
    this.#mustReconnect = false;
  }
}
