import { createRequire } from "node:module";
import { type Client, createClient, defineJob, invokeTrigger } from "pawl";
import { sqlite } from "pawl/sqlite";
import { expect, onTestFinished, test, vi } from "vitest";
import type { DatabaseConstructor } from "../../src/storage/sqlite/driver.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { turns } from "../engine/drive.js";
import { passingTime } from "../engine/support.js";
import { connected, newPath } from "./sqlite-fixture.js";

/** A file that may not grow: SQLite itself answers SQLITE_FULL, as it does on a disk without room. */
class Disk {
  readonly path = newPath();
  readonly driver: DatabaseConstructor;
  readonly #connections: { prepare(sql: string): { get(values: unknown): unknown } }[] = [];

  constructor() {
    const Libsql = createRequire(import.meta.url)("libsql") as DatabaseConstructor;
    const connections = this.#connections;
    this.driver = class extends Libsql {
      constructor(path: string) {
        super(path);
        connections.push(this);
      }
    };
  }

  fill(): void {
    // SQLite takes a limit below the present size for the present size.
    this.#limit(1);
  }

  free(): void {
    this.#limit(1_000_000);
  }

  #limit(pages: number): void {
    for (const connection of this.#connections)
      connection.prepare(`pragma max_page_count = ${pages}`).get([]);
  }
}

const patient = { interval: 1, timeout: 30_000 };
const RUNS = 5;
const large = "x".repeat(100_000);

interface Shop {
  readonly disk: Disk;
  readonly clock: FakeClock;
  readonly client: Client;
  readonly troubles: unknown[];
  /** Callbacks by task. */
  readonly calls: Record<string, number>;
  readonly ids: readonly string[];
}

/** Runs whose second task fills the disk before its large output is stored. */
async function shopOn(disk: Disk): Promise<Shop> {
  const clock = new FakeClock();
  const troubles: unknown[] = [];
  const calls: Record<string, number> = {};
  const job = defineJob({
    id: "job",
    trigger: invokeTrigger(),
    run: async (_payload, io, { run }) => {
      const task = (key: string, work: () => unknown) =>
        io.runTask(key, () => {
          const name = `${key} of ${run.id}`;
          calls[name] = (calls[name] ?? 0) + 1;
          return work();
        });
      await task("before", () => 1);
      const stored = await task("large", () => {
        if (Object.keys(calls).filter((name) => name.startsWith("large")).length === 1) disk.fill();
        return large;
      });
      await task("after", () => 1);
      return stored === large;
    },
  });
  const client = createClient({
    storage: sqlite({ path: disk.path, driver: disk.driver }),
    clock,
    jobs: [job],
    onError: (error) => troubles.push(error),
  });
  onTestFinished(() => {
    disk.free();
    return passingTime(clock, client.stop({ timeout: 0 }));
  });
  const handles = await Promise.all(Array.from({ length: RUNS }, () => client.invoke(job, {})));
  return { disk, clock, client, troubles, calls, ids: handles.map(({ id }) => id) };
}

async function fullFor({ clock, troubles }: Shop, seconds: number): Promise<void> {
  const before = troubles.length;
  await vi.waitUntil(() => troubles.length > before, patient);
  // The engine loads it at its first trouble, and arms no timer before.
  await import("p-retry");
  for (let second = 0; second < seconds; second += 2) {
    const tries = troubles.length;
    await turns();
    // The longest pause between two tries.
    clock.advance(2);
    await vi.waitUntil(() => troubles.length > tries, patient);
  }
}

async function outcome({ client, ids }: Shop): Promise<unknown[]> {
  const runs = await Promise.all(ids.map((id) => client.getRun(id)));
  return runs.map((run) => [run?.status, run?.output]);
}

const completed = Array.from({ length: RUNS }, () => ["COMPLETED", true]);

test("G32: while the disk is full no run fails and onError is told; with room again all go on by themselves, and nothing is repeated", async () => {
  const shop = await shopOn(new Disk());
  const draining = shop.client.drain();
  await fullFor(shop, 20);
  const { runs } = await shop.client.getRuns();
  expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(["EXECUTING"]));
  expect(shop.troubles.length).toBeGreaterThan(3);
  for (const error of shop.troubles) expect(error).toMatchObject({ code: "STORAGE_FULL" });

  shop.disk.free();
  await passingTime(shop.clock, draining);
  expect(await outcome(shop)).toEqual(completed);
  expect(Object.keys(shop.calls)).toHaveLength(3 * RUNS);
  expect(new Set(Object.values(shop.calls))).toEqual(new Set([1]));
  const check = connected(shop.disk.path).prepare("pragma integrity_check").get([]);
  expect(check).toEqual(["ok"]);
});

test("G32: a disk that stays full for longer than a lease costs no recorded task and no run", async () => {
  const shop = await shopOn(new Disk());
  const draining = shop.client.drain();
  await fullFor(shop, 300);
  shop.disk.free();
  await passingTime(shop.clock, draining);
  expect(await outcome(shop)).toEqual(completed);
  for (const id of shop.ids) expect(shop.calls[`before of ${id}`]).toBe(1);
});

test("G32: an invoke for which there is no room waits for it, and starts one run", async () => {
  const shop = await shopOn(new Disk());
  const draining = shop.client.drain();
  await fullFor(shop, 2);
  shop.disk.free();
  await passingTime(shop.clock, draining);
  shop.disk.fill();
  const late = shop.client.invoke("job", { large });
  await fullFor(shop, 20);
  shop.disk.free();
  const { id } = await passingTime(shop.clock, late);
  await passingTime(shop.clock, shop.client.drain());
  expect((await shop.client.getRun(id))?.status).toBe("COMPLETED");
  expect((await shop.client.getRuns()).runs).toHaveLength(RUNS + 1);
});
