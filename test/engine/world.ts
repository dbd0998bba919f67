import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, describe, inject } from "vitest";
import type { AnyJob, Client, ClientOptions, Storage } from "../../src/index.js";
import { createClient } from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { postgres } from "../../src/storage/postgres/index.js";
import { sqlite } from "../../src/storage/sqlite/index.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { deleteAll } from "../postgres/tables.js";
import { passingTime } from "./support.js";
import { counted, quiet } from "./under-way.js";

/** One store, one clock and any number of clients (workers) on it. */
export class World {
  readonly clock = new FakeClock();
  readonly troubles: unknown[] = [];
  readonly #open: Opener;
  readonly #maxParked: number;
  readonly #clients: Client[] = [];
  #hasEnded = false;

  constructor(open: Opener, maxParked: number) {
    this.#open = open;
    this.#maxParked = maxParked;
  }

  get maxParked(): number {
    return this.#maxParked;
  }

  /** A second handle on the same data: another process, as far as the store can tell. */
  storage(): Storage {
    return counted(this.#open(this.clock), () => this.#hasEnded);
  }

  client(options: Omit<ClientOptions, "clock"> & { jobs?: readonly AnyJob[] } = {}): Client {
    const client = createClient({
      storage: this.storage(),
      clock: this.clock,
      maxParked: this.#maxParked,
      onError: (error) => this.troubles.push(error),
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    // A task that hangs is left when its time is over, so time must pass.
    for (const client of this.#clients) await passingTime(this.clock, client.stop({ timeout: 0 }));
    this.#hasEnded = true;
    await quiet();
  }
}

type Opener = (clock: FakeClock) => Storage;

interface Made {
  readonly open: Opener;
  remove(): void | Promise<void>;
}

interface Store {
  readonly name: string;
  make(): Made;
}

const embedded: readonly Store[] = [
  {
    name: "memory",
    make: () => {
      const storage = memory();
      return { open: () => shared(storage), remove: () => {} };
    },
  },
  {
    name: "sqlite",
    make: () => {
      const folder = mkdtempSync(join(tmpdir(), "pawl-test-"));
      return {
        open: () => sqlite(join(folder, "test.db")),
        remove: () => rmSync(folder, { recursive: true, force: true }),
      };
    },
  },
];

/** In the project that has a server these tests run on it, in the others on the stores that need none. */
const postgresUrl: string | undefined = inject("postgresUrl");
const stores = postgresUrl === undefined ? embedded : [postgresStore(postgresUrl)];

/** One schema for all tests of a file, emptied after each. */
function postgresStore(url: string): Store {
  const schema = `pawl_test_engine_${process.pid}`;
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  afterAll(async () => {
    await pool.query(`drop schema if exists "${schema}" cascade`);
    await pool.end();
  });
  return {
    name: "postgres",
    make: () => ({
      open: (clock) => postgres({ client: pool, schema, clock }),
      remove: async () => {
        await pool.query(deleteAll(schema));
      },
    }),
  };
}

/** Several clients share one memory store: closing one must not close it for the others. */
function shared(storage: Storage): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === "close") return async () => {};
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Registers the tests for each adapter, with executions kept in memory and with none kept. */
export function describeEngine(title: string, tests: (world: () => World) => void): void {
  for (const { name, make } of stores) {
    for (const maxParked of [0, 1000]) {
      describe(`${title} (${name}, maxParked ${maxParked})`, () => {
        let current: { world: World; remove: Made["remove"] } | undefined;
        afterEach(async () => {
          await current?.world.close();
          await current?.remove();
          current = undefined;
        });
        tests(() => {
          if (current === undefined) {
            const { open, remove } = make();
            current = { world: new World(open, maxParked), remove };
          }
          return current.world;
        });
      });
    }
  }
}
