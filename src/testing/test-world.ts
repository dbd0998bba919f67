import { type Duration, durationMs } from "../core/duration.js";
import { ConfigError } from "../core/errors.js";
import type { Storage } from "../core/storage.js";
import type { Client } from "../engine/client.js";
import type { ClientOptions } from "../engine/client-options.js";
import { MemoryData, memory } from "../storage/memory/index.js";
import { FakeClock } from "./fake-clock.js";
import { TestProcess } from "./test-process.js";
import type { CrashPlan } from "./with-crash.js";

export interface TestWorldOptions {
  /** Wall time at the beginning. Default 2026-01-01T00:00:00Z. */
  readonly start?: Date | number;
  /** Opens the store as one more process would. Default: memory that all clients of the world share. */
  readonly open?: () => Storage;
}

/**
 * One store, one clock, and any number of clients on them, each standing for a
 * process. Time passes in `advance` alone, which stops at every instant at
 * which something is due and lets the clients execute it.
 *
 * @example
 * const world = testWorld();
 * const client = world.client({ jobs: [reminder] });
 * const run = await client.invoke(reminder, { userId: "u1" });
 * await world.advance("7d");
 * assert.equal((await client.getRun(run))?.status, "COMPLETED");
 * await world.close();
 */
export class TestWorld {
  readonly clock: FakeClock;
  readonly #open: () => Storage;
  readonly #processes: TestProcess[] = [];

  constructor(options: TestWorldOptions = {}) {
    this.clock = new FakeClock(options.start);
    const data = new MemoryData();
    this.#open = options.open ?? (() => memory({ data }));
  }

  /** A client on the world's store and clock. It need not be started: `advance` and `drain` execute what is due. */
  client(options: Omit<ClientOptions, "clock" | "storage"> = {}): Client {
    return this.process(options).client;
  }

  /** One more handle on the store, as another process would have it. */
  storage(): Storage {
    return this.#open();
  }

  /** Lets the clients execute what is due now. Callbacks of tasks are waited for in real time. */
  async drain(): Promise<void> {
    for (let before = -1; before !== this.#writes; ) {
      before = this.#writes;
      for (const process of this.#living) await process.drain();
    }
  }

  /** Moves time on, from due instant to due instant, and lets the clients execute what is due at each. */
  async advance(duration: Duration): Promise<void> {
    const end = this.clock.monotonic() + durationMs(duration, "advance");
    for (;;) {
      await this.drain();
      const left = end - this.clock.monotonic();
      const next = this.untilNextDueMs;
      if (next === undefined || next > left) break;
      this.clock.advance({ milliseconds: next });
    }
    this.clock.advance({ milliseconds: end - this.clock.monotonic() });
    await this.drain();
  }

  /** Milliseconds until something is due that the clients know of; undefined if nothing is. */
  get untilNextDueMs(): number | undefined {
    const now = this.clock.now();
    const instants = this.#living.flatMap(({ due }) => due.after(now) ?? []);
    return instants.length === 0 ? undefined : Math.min(...instants) - now;
  }

  /** The client's process dies as by SIGKILL: nothing more of it is written, and its leases run out. */
  kill(client: Client): void {
    const process = this.#processes.find((each) => each.client === client);
    if (process === undefined) {
      throw new ConfigError("OPTION_INVALID", "kill takes a client that this world has made.");
    }
    process.kill();
  }

  /** Stops the clients that live. */
  async close(): Promise<void> {
    for (const process of this.#processes) await process.stop();
  }

  /** A client together with what a test does to it. */
  protected process(
    options: Omit<ClientOptions, "clock" | "storage">,
    crash: CrashPlan = () => undefined,
  ): TestProcess {
    const process = new TestProcess(this.clock, this.#open(), options, crash);
    this.#processes.push(process);
    return process;
  }

  get #living(): TestProcess[] {
    return this.#processes.filter(({ isDead }) => !isDead);
  }

  get #writes(): number {
    return this.#processes.reduce((sum, { due }) => sum + due.writes, 0);
  }
}

/** A {@link TestWorld}. */
export function testWorld(options?: TestWorldOptions): TestWorld {
  return new TestWorld(options);
}
