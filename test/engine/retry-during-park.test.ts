import { expect, test } from "vitest";
import type { RunWrite } from "../../src/core/storage.js";
import type { Client, Io, Storage } from "../../src/index.js";
import { type Gate, gate, jobOf, turns } from "./drive.js";
import { describeEngine, type World } from "./world.js";

interface Stall {
  readonly title: string;
  /** Whether the store has taken the park when its commit stands still. */
  readonly isDurable: boolean;
  /** Whether the other calls of the process stand still with it. */
  readonly stopsAll: boolean;
}

const stalls: readonly Stall[] = [
  { title: "is on its way to the store", isDurable: false, stopsAll: false },
  { title: "is stored and not answered", isDurable: true, stopsAll: false },
  { title: "is not stored while the store does not answer", isDurable: false, stopsAll: true },
  { title: "is stored while the store does not answer", isDurable: true, stopsAll: true },
];

/** A storage whose park commits stand still until they are let go. */
class SlowPark {
  readonly storage: Storage;
  readonly #stall: Stall;
  readonly #reached: Gate = gate();
  readonly #letGo: Gate = gate();
  #isStalled = false;

  constructor(storage: Storage, stall: Stall) {
    this.#stall = stall;
    this.storage = new Proxy(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) =>
          this.#call(name === "commit" ? args[0] : undefined, () => value.apply(target, args));
      },
    });
  }

  async #call(writes: unknown, call: () => Promise<unknown>): Promise<unknown> {
    if (this.#isStalled && this.#stall.stopsAll) await this.#letGo.opened;
    const parks = isPark(writes);
    if (parks && !this.#stall.isDurable) await this.#stand();
    const answer = await call();
    if (parks && this.#stall.isDurable) await this.#stand();
    return answer;
  }

  async #stand(): Promise<void> {
    this.#isStalled = true;
    this.#reached.open();
    await this.#letGo.opened;
  }

  /** What happens while a park commit stands still. Whatever fails, nothing is left hanging. */
  async during(work: () => Promise<void>): Promise<void> {
    await this.#reached.opened;
    try {
      await work();
    } finally {
      this.#letGo.open();
    }
  }
}

function isPark(writes: unknown): boolean {
  return (
    Array.isArray(writes) &&
    writes.some((write: RunWrite) => write.run?.status === "WAITING" && write.release !== undefined)
  );
}

/** Drains, and lets a second pass, until the run is over. */
async function drained(world: World, client: Client, id: string) {
  for (let step = 0; step < 20; step++) {
    await client.drain();
    const run = await client.getRun(id, { tasks: true });
    if (run?.finishedAt !== undefined) return run;
    world.clock.advance(1);
  }
  throw new Error("The run does not end.");
}

/** Notes each attempt, and fails the first `failures` of them. */
function flaky(io: Io, key: string, attempts: string[], failures: number): Promise<string> {
  return io.runTask(
    key,
    ({ attempt }) => {
      attempts.push(`${key} ${attempt}`);
      if (attempt <= failures) throw new Error("not yet");
      return key;
    },
    { retry: { limit: 3, minTimeoutInMs: 1_000, factor: 1, randomize: false } },
  );
}

describeEngine("a retry that falls due while the commit of the park", (world) => {
  for (const stall of stalls) {
    test(`${stall.title} is neither lost nor made twice`, async () => {
      const slow = new SlowPark(world().storage(), stall);
      const attempts: string[] = [];
      const job = jobOf((io) => flaky(io, "a", attempts, 2));
      const client = world().client({ storage: slow.storage, jobs: [job] });
      const { id } = await client.invoke(job, {});
      const draining = client.drain();
      await slow.during(async () => {
        world().clock.advance(2);
        await turns();
        // Not released, or not known to be: this execution makes no attempt.
        if (!stall.isDurable || stall.stopsAll) expect(attempts).toEqual(["a 1"]);
      });
      await draining;
      const run = await drained(world(), client, id);
      expect(run).toMatchObject({ status: "COMPLETED", output: "a" });
      expect(attempts).toEqual(["a 1", "a 2", "a 3"]);
      expect(run.tasks?.[0]?.attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
    });

    test(`${stall.title} is neither lost nor made twice beside others that fall due with it`, async () => {
      const slow = new SlowPark(world().storage(), stall);
      const attempts: string[] = [];
      const job = jobOf((io) =>
        Promise.all([flaky(io, "a", attempts, 1), io.wait("w", 1), flaky(io, "b", attempts, 1)]),
      );
      const client = world().client({ storage: slow.storage, jobs: [job] });
      const { id } = await client.invoke(job, {});
      const draining = client.drain();
      await slow.during(async () => {
        world().clock.advance(2);
        await turns();
      });
      await draining;
      const run = await drained(world(), client, id);
      expect(run).toMatchObject({ status: "COMPLETED", output: ["a", undefined, "b"] });
      expect([...attempts].sort()).toEqual(["a 1", "a 2", "b 1", "b 2"]);
    });
  }

  for (const stall of stalls.filter(({ stopsAll }) => stopsAll)) {
    test(`${stall.title} is made by the process that took the run meanwhile, and by no other`, async () => {
      const slow = new SlowPark(world().storage(), stall);
      const here: string[] = [];
      const there: string[] = [];
      const client = world().client({
        storage: slow.storage,
        jobs: [jobOf((io) => flaky(io, "a", here, 1))],
      });
      const other = world().client({ jobs: [jobOf((io) => flaky(io, "a", there, 1))] });
      const { id } = await client.invoke("job", {});
      const draining = client.drain();
      await slow.during(async () => {
        // Past the lease, for the case that the park has not reached the store.
        world().clock.advance(31);
        await drained(world(), other, id);
      });
      await draining;
      await turns();
      expect(await other.getRun(id)).toMatchObject({ status: "COMPLETED", output: "a" });
      expect(here).toEqual(["a 1"]);
      // The first attempt was stored before the park.
      expect(there).toEqual(["a 2"]);
    });
  }
});
