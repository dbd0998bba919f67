import { type Client, type ClientOptions, createClient, eventTrigger, invokeTrigger } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { eventually } from "../eventually.js";
import { schemaName } from "./clients.js";

/**
 * What only several processes on one store show. Each client stands for one: it has a pool of its own, and nothing
 * else in common with the others. Nobody looks by itself, and no lease runs out: who is slow to take over never does.
 */
const NEVER_MS = 3_600_000;

let fleet: Client[] = [];
let schema = "";

beforeEach(() => {
  schema = schemaName();
});
afterEach(async () => {
  await Promise.all(fleet.map((client) => client.stop({ timeout: 0 })));
  fleet = [];
  const admin = new pg.Client({ connectionString: inject("postgresUrl") });
  await admin.connect();
  await admin.query(`drop schema "${schema}" cascade`);
  await admin.end();
});

function member(options: Omit<ClientOptions, "storage"> = {}): Client {
  const client = createClient({
    storage: postgres({ url: inject("postgresUrl"), schema, maxConnections: 3 }),
    leaseMs: NEVER_MS,
    pollMs: NEVER_MS,
    ...options,
  });
  fleet.push(client);
  return client;
}

async function ended(looker: Client, runs: number): Promise<void> {
  await eventually(async () => ((await looker.stats()).runs.COMPLETED ?? 0) >= runs);
}

/** What was executed where, past the library. */
class Notes {
  readonly #by = new Map<string, string[]>();

  write(what: string, by: string): void {
    this.#by.set(what, [...this.writers(what), by]);
  }

  writers(what: string): readonly string[] {
    return this.#by.get(what) ?? [];
  }

  get size(): number {
    return this.#by.size;
  }

  /** Written more than once. */
  get repeated(): string[] {
    return [...this.#by].filter(([, writers]) => writers.length > 1).map(([what]) => what);
  }

  get all(): string[] {
    return [...this.#by.values()].flat();
  }
}

describe("a fleet on PostgreSQL", () => {
  test("rolls out a new version of a job worker by worker, and runs of the old one go on in it where they were", async () => {
    const notes = new Notes();
    const RUNS = 60;
    const worker = (name: string, version: "1.0.0" | "2.0.0") => {
      const client = member({ concurrency: 10 });
      client.defineJob({
        id: "order",
        version,
        trigger: invokeTrigger(),
        run: async (_, io, { run }) => {
          const step = (key: string) =>
            io.runTask(key, async () => notes.write(`${run.id} ${key}`, name));
          await step("pack");
          await io.wait("courier", 0.02);
          await step("label");
          if (version === "1.0.0") return "old";
          // Appended, as a deploy may do while runs are open.
          await step("notify");
          return "new";
        },
      });
      return client;
    };
    const olds = ["old-1", "old-2", "old-3"].map((name) => worker(name, "1.0.0"));
    const sender = worker("sender", "1.0.0");
    await Promise.all(olds.map((client) => client.start()));
    const ids: string[] = [];
    const send = async (count: number) => {
      for (let n = 0; n < count; n++) ids.push((await sender.invoke("order")).id);
    };
    await send(RUNS / 4);
    for (const [n, old] of olds.entries()) {
      const packed = notes.size;
      await Promise.all([
        send(RUNS / 4),
        eventually(() => notes.size > packed).then(async () => {
          await worker(`new-${n + 1}`, "2.0.0").start();
          await old.stop();
        }),
      ]);
    }
    await ended(sender, RUNS);

    expect(notes.repeated).toEqual([]);
    for (const id of ids) {
      const run = await sender.getRun(id, { tasks: true });
      const keys = run?.tasks?.map(({ key }) => key);
      const tail = run?.output === "new" ? ["notify"] : [];
      expect(keys).toEqual(["pack", "courier", "label", ...tail]);
    }
    const outputs = await Promise.all(ids.map(async (id) => (await sender.getRun(id))?.output));
    expect(new Set(outputs)).toEqual(new Set(["old", "new"]));
    expect(notes.all).not.toContain("sender");
  });

  test("G26: workers that know different jobs leave each other's alone, and what nobody knows waits", async () => {
    const notes = new Notes();
    const knows = (client: Client, ...ids: string[]) => {
      for (const id of ids)
        client.defineJob({
          id,
          trigger: invokeTrigger(),
          run: async (_, io, { run }) => {
            await io.runTask("work", async () => notes.write(run.id, id));
            await io.wait("moment", 0.02);
            return io.runTask("more", () => id);
          },
        });
      return client;
    };
    const sender = knows(member(), "a", "b", "c");
    const handles = [];
    for (let n = 0; n < 30; n++)
      handles.push(await sender.invoke(["a", "b", "c"][n % 3] as string));
    const worker = knows(member(), "a");
    await worker.start();
    await knows(member(), "b").start();
    await ended(sender, 20);
    const runs = await Promise.all(handles.map(({ id }) => sender.getRun(id)));
    expect(runs.filter((run) => run?.status === "COMPLETED").map((run) => run?.output)).toEqual(
      Array(10).fill(["a", "b"]).flat(),
    );
    const strange = runs.filter((run) => run?.jobId === "c");
    expect(strange.map((run) => [run?.status, run?.executionCount])).toEqual(
      Array(10).fill(["QUEUED", 0]),
    );
    expect(await sender.explainRun(strange[0]?.id ?? "")).toContain('job "c"');
    expect(notes.size).toBe(20);
    expect(notes.repeated).toEqual([]);

    // Whoever comes with the job takes them.
    await knows(member(), "c").start();
    await ended(sender, 30);
    expect(notes.repeated).toEqual([]);
  });

  test("has processes that only send: they execute nothing, and wake the workers", async () => {
    const notes = new Notes();
    const jobs = (client: Client, name: string) => {
      client.defineJob({
        id: "mail",
        trigger: eventTrigger({ name: "signed.up" }),
        run: async (_, io, { run }) => {
          await io.runTask("send", async () => notes.write(run.id, name));
        },
      });
      return client;
    };
    await jobs(member(), "worker").start();
    const stranger = member();
    const knowing = jobs(member(), "sender");
    const RUNS = 20;
    // One by one: each finds the worker asleep.
    for (let n = 0; n < RUNS; n++) {
      const sender = n % 2 === 0 ? stranger : knowing;
      if (n % 4 === 3) await sender.invoke("mail", {});
      else await sender.sendEvent({ name: "signed.up", payload: { n } });
      await ended(stranger, n + 1);
    }
    expect(notes.all).toEqual(Array(RUNS).fill("worker"));
  });

  test("hands over at once what a worker leaves that is stopped, before its lease is over", async () => {
    const notes = new Notes();
    const RUNS = 40;
    let isStopping = false;
    const worker = (name: string) => {
      const client = member({ concurrency: RUNS });
      client.defineJob({
        id: "long",
        trigger: invokeTrigger(),
        run: async (_, io, { run }) => {
          for (let n = 0; n < 3; n++) {
            await io.runTask(["step", n], async () => {
              notes.write(`${run.id} ${n}`, name);
              // The first worker is in the second step of all runs when it is told to stop.
              if (name === "first" && n === 1) await eventually(() => isStopping);
            });
          }
        },
      });
      return client;
    };
    const first = worker("first");
    for (let n = 0; n < RUNS; n++) await first.invoke("long");
    await first.start();
    await eventually(() => notes.size === 2 * RUNS);
    const second = worker("second");
    await second.start();
    const stopped = first.stop();
    isStopping = true;
    await stopped;
    await ended(second, RUNS);
    expect(notes.repeated).toEqual([]);
    expect(notes.size).toBe(3 * RUNS);
    expect(notes.all.filter((by) => by === "second").length).toBeGreaterThan(RUNS / 2);
  });

  test("lets a run with a free key pass runs of a thousand keys that have no slot left", async () => {
    const KEYS = 1_000;
    const held = new Set<string>();
    let isOver = false;
    const worker = (concurrency: number) => {
      const client = member({ concurrency });
      client.defineJob({
        id: "keyed",
        trigger: invokeTrigger(),
        concurrencyLimit: { limit: 1, key: ({ key }) => key },
        run: async ({ key }: { key: string }, io) => {
          await io.runTask("hold", async () => {
            held.add(key);
            if (key !== "free") await eventually(() => isOver);
          });
        },
      });
      return client;
    };
    const sender = worker(1);
    const sendOneOfEach = () =>
      Promise.all(
        Array.from({ length: KEYS }, (_, n) => sender.invoke("keyed", { key: `key ${n}` })),
      );
    await sendOneOfEach();
    await worker(KEYS).start();
    await eventually(() => held.size === KEYS);
    await sendOneOfEach();
    await sender.invoke("keyed", { key: "free" });
    const since = performance.now();
    await worker(10).start();
    await eventually(() => held.has("free"));
    console.log(`past ${KEYS} saturated keys in ${Math.round(performance.now() - since)} ms`);
    await ended(sender, 1);
    expect((await sender.stats()).runs).toMatchObject({ EXECUTING: KEYS, QUEUED: KEYS });
    isOver = true;
    await ended(sender, 2 * KEYS + 1);
  });

  test("starts one run per event, whichever of four senders has sent it first", async () => {
    const notes = new Notes();
    const EVENTS = 50;
    const client = member();
    client.defineJob({
      id: "paid",
      trigger: eventTrigger({ name: "paid" }),
      run: async (payload, io) => {
        const { n } = payload as { n: number };
        await io.runTask("book", async () => notes.write(`event ${n}`, "worker"));
      },
    });
    await client.start();
    const senders = [member(), member(), member(), member()];
    const events = Array.from({ length: EVENTS }, (_, n) => ({
      name: "paid",
      id: `paid-${n}`,
      payload: { n },
    }));
    // Two of them one by one, two as a batch.
    await Promise.all(
      senders.map(async (sender, n) => {
        if (n % 2 === 0) await sender.sendEvents(events);
        else for (const event of events) await sender.sendEvent(event);
      }),
    );
    await ended(client, EVENTS);
    await Promise.all(senders.map((sender) => sender.sendEvents(events)));
    await client.drain();
    expect((await client.getRuns({ jobId: "paid", take: 1_000 })).runs).toHaveLength(EVENTS);
    expect(notes.size).toBe(EVENTS);
    expect(notes.repeated).toEqual([]);
  });
});
