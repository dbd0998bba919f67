import pg from "pg";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";

type Heard = Parameters<PgDriver["listen"]>[1];

/**
 * One connection that listens for all adapters of a test. So a test can wait until no notification is on its way any
 * more, which nobody can tell who does not share a connection with them.
 */
export class SharedListener {
  readonly #client: pg.Client;
  readonly #listening = new Map<string, Set<Heard>>();

  private constructor(client: pg.Client) {
    this.#client = client;
    client.on("notification", ({ channel, payload = "" }) => {
      for (const heard of this.#listening.get(channel) ?? []) heard.notified(payload);
    });
  }

  static async open(url: string): Promise<SharedListener> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new SharedListener(client);
  }

  /** A process's way to the server. It ends neither the pool nor this connection. */
  driver(pool: pg.Pool): PgDriver {
    return new ListenedDriver(pool, (channel, heard) => this.#listen(channel, heard));
  }

  /**
   * What has been notified so far was heard. The server sends a commit's notifications on before it answers the
   * commit, and hands them out before it answers the statement that comes next on the connection that listens.
   */
  async settled(): Promise<void> {
    if (this.#listening.size > 0) await this.#client.query("");
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  async #listen(channel: string, heard: Heard): Promise<() => Promise<void>> {
    const others = this.#listening.get(channel);
    const all = others ?? new Set();
    this.#listening.set(channel, all.add(heard));
    if (others === undefined) await this.#client.query(`listen "${channel}"`);
    return async () => {
      all.delete(heard);
    };
  }
}

class ListenedDriver extends PgDriver {
  readonly #listen: PgDriver["listen"];

  constructor(pool: pg.Pool, listen: PgDriver["listen"]) {
    super(pool, { prepare: true, ownsPool: false });
    this.#listen = listen;
  }

  override listen(channel: string, heard: Heard): Promise<() => Promise<void>> {
    return this.#listen(channel, heard);
  }
}
