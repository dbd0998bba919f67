import type { Clock } from "../../core/clock.js";
import { Claimer } from "./claim.js";
import { Committer } from "./commit.js";
import { RunCreator } from "./create.js";
import type { Database } from "./database.js";
import { Hints } from "./hints.js";
import { Importer } from "./import.js";
import { RunLister } from "./list.js";
import { LockManners } from "./lock-manners.js";
import { Purger } from "./purge.js";
import { RunReader } from "./reader.js";
import { StoreClock } from "./store-clock.js";
import { Transaction } from "./transaction.js";
import { UserTransactions } from "./user-transaction.js";
import { ValueStore } from "./values.js";
import { WriteQueue } from "./write-queue.js";

/** An open file with everything that works on it. */
export class Session {
  readonly database: Database;
  readonly clock: StoreClock;
  readonly hints: Hints;
  readonly manners: LockManners;
  readonly queue: WriteQueue;
  readonly reader: RunReader;
  readonly lister: RunLister;
  readonly values: ValueStore;
  readonly creator: RunCreator;
  readonly committer: Committer;
  readonly claimer: Claimer;
  readonly purger: Purger;
  readonly importer: Importer;
  readonly users: UserTransactions;

  constructor(database: Database, clock: Clock) {
    this.database = database;
    this.clock = new StoreClock(clock, database);
    this.manners = new LockManners(database, () => this.hints.tell());
    this.hints = new Hints(database.path, this.manners);
    const transaction = new Transaction(database, this.clock, this.manners);
    this.queue = new WriteQueue(transaction, this.manners);
    this.reader = new RunReader(database);
    this.lister = new RunLister(database);
    this.values = new ValueStore(database);
    this.creator = new RunCreator(transaction, this.values);
    this.committer = new Committer(transaction, this.creator, this.values);
    this.claimer = new Claimer(transaction, this.reader, this.clock);
    this.purger = new Purger(transaction, this.values);
    this.importer = new Importer(transaction);
    const { committer, creator } = this;
    this.users = new UserTransactions({ transaction, committer, creator });
  }

  /**
   * A first commit of this process, which shows that the file can be written
   * to, and shows others that they are not alone (see LockManners).
   */
  register(): void {
    this.database.transaction(() => {
      this.database.run("update pawl_meta set value = value + 1 where key = 'starts'");
      this.clock.mark(this.clock.now());
    });
    this.manners.look();
  }

  async close(): Promise<void> {
    this.hints.stop();
    await this.queue.drained();
    this.database.close();
  }
}
