import { expect, test } from "vitest";
import { defineJob, type Io, invokeTrigger, type JobOptions } from "../../src/index.js";
import { type Gate, gate, Machine, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

type Limit = JobOptions<unknown, unknown, unknown, Record<never, never>>["concurrencyLimit"];

/** Runs that stay in a task until they are let go; counts how many do so at a time, by job and payload. */
class Load {
  readonly inside: string[] = [];
  most = 0;
  done = 0;
  readonly #gates = new Map<string, Gate>();

  job(id: string, limit: Limit, body?: (io: Io) => Promise<unknown>) {
    return defineJob({
      id,
      trigger: invokeTrigger(),
      ...(limit === undefined ? {} : { concurrencyLimit: limit }),
      run: async (payload, io) => {
        await io.runTask("work", () => this.#work(`${id} ${payload}`));
        await body?.(io);
        this.done++;
      },
    });
  }

  /** Lets everyone through who is inside now. */
  letGo(): void {
    const names = this.inside.splice(0);
    for (const name of names) this.#gates.get(name)?.open();
  }

  async #work(name: string): Promise<void> {
    const door = gate();
    this.#gates.set(name, door);
    this.inside.push(name);
    this.most = Math.max(this.most, this.inside.length);
    await door.opened;
  }
}

/** Lets runs through, a round at a time, until the drains are over. */
async function letAllThrough(load: Load, ...drains: Promise<void>[]): Promise<void> {
  let isOver = false;
  const all = Promise.all(drains).finally(() => {
    isOver = true;
  });
  await until(async () => {
    await turns(30);
    load.letGo();
    return isOver;
  });
  await all;
}

describeEngine("concurrency limits", (world) => {
  test("D7: no more than the limit of a job's runs execute at a time, in two processes together", async () => {
    const load = new Load();
    const jobs = [load.job("j", 2)];
    const [a, b] = [world().client({ jobs }), world().client({ jobs })];
    for (let n = 0; n < 8; n++) await a.invoke("j", n);
    await letAllThrough(load, a.drain(), b.drain());
    while (load.done < 8) await letAllThrough(load, a.drain(), b.drain());
    expect(load.most).toBe(2);
  });

  test("D7: the limit holds for runs that a started client could start directly", async () => {
    const load = new Load();
    const client = world().client({ jobs: [load.job("j", 2)] });
    await client.start();
    for (let n = 0; n < 6; n++) await client.invoke("j", n);
    await turns();
    expect(load.inside).toHaveLength(2);
    await letAllThrough(load, client.drain());
    expect(load).toMatchObject({ most: 2, done: 6 });
  });

  test("D7: the limit holds for runs whose sender has no code of the job", async () => {
    const load = new Load();
    const client = world().client({ jobs: [load.job("j", 1)] });
    await client.drain();
    const sender = world().client();
    for (let n = 0; n < 4; n++) await sender.invoke("j", n);
    await letAllThrough(load, client.drain());
    expect(load).toMatchObject({ most: 1, done: 4 });
    const { runs } = await client.getRuns();
    expect(runs.every((run) => run.executionCount === 1)).toBe(true);
  });

  test("D8: jobs that share a limit do not exceed it together", async () => {
    const load = new Load();
    const limit = world().client().defineConcurrencyLimit({ id: "api/v1", limit: 3 });
    const jobs = [load.job("a", limit), load.job("b", limit), load.job("free", undefined)];
    const client = world().client({ jobs });
    for (let n = 0; n < 5; n++) {
      await client.invoke("a", n);
      await client.invoke("b", n);
    }
    const draining = client.drain();
    await turns(100);
    expect(load.inside).toHaveLength(3);
    await letAllThrough(load, draining);
    expect(load).toMatchObject({ most: 3, done: 10 });
  });

  test("G19: a limit with a key counts for each key by itself, and a full key holds up no other", async () => {
    const load = new Load();
    const key = (payload: unknown) => String(payload).slice(0, 1);
    const client = world().client({ jobs: [load.job("j", { limit: 1, key })] });
    for (const payload of ["a1", "a2", "a3", "a4", "b1", "c1"]) await client.invoke("j", payload);
    const draining = client.drain();
    await turns(100);
    expect([...load.inside].sort()).toEqual(["j a1", "j b1", "j c1"]);
    await letAllThrough(load, draining);
    expect(load).toMatchObject({ most: 3, done: 6 });
  });

  test("G19: keys that differ only in odd characters are different keys", async () => {
    const load = new Load();
    const client = world().client({ jobs: [load.job("j", { limit: 1, key: String })] });
    const payloads = ["a", "a/", "/a", "a%2F", "A", " a"];
    for (const payload of payloads) await client.invoke("j", payload);
    const draining = client.drain();
    await turns(100);
    expect(load.inside).toHaveLength(payloads.length);
    await letAllThrough(load, draining);
  });

  test("D7: a parked run holds no slot, and waits for one when it goes on", async () => {
    const load = new Load();
    const job = load.job("j", 1, async (io) => {
      await io.wait("minute", "1m");
      await io.runTask("more", () => {});
    });
    const client = world().client({ jobs: [job] });
    const first = await client.invoke(job, 1);
    const second = await client.invoke(job, 2);
    const draining = client.drain();
    await turns(100);
    expect(load.inside).toEqual(["j 1"]);
    load.letGo();
    await turns(100);
    expect(load.inside).toEqual(["j 2"]);
    expect((await client.getRun(first))?.status).toBe("WAITING");
    for (let step = 0; step < 12; step++) {
      world().clock.advance("5s");
      await turns();
    }
    // The first is due, but the second has the slot now.
    expect((await client.getRun(first))?.status).toBe("QUEUED");
    await letAllThrough(load, draining);
    await client.drain();
    expect((await client.getRun(first))?.status).toBe("COMPLETED");
    world().clock.advance("1m");
    await client.drain();
    expect((await client.getRun(second))?.status).toBe("COMPLETED");
    expect(load.most).toBe(1);
  });

  test("D7: the slot of a process that died is free when its lease has run out, not before", async () => {
    const load = new Load();
    const jobs = [load.job("j", 1)];
    const doomed = new Machine(world(), { jobs });
    const lost = await doomed.client.invoke("j", "lost");
    void doomed.client.drain();
    await until(() => load.inside.length === 1);
    doomed.freeze();
    load.inside.length = 0;
    const heir = world().client({ jobs });
    const next = await heir.invoke("j", "next");
    world().clock.advance("29s");
    await heir.drain();
    expect(load.inside).toEqual([]);
    expect((await heir.getRun(next))?.status).toBe("QUEUED");
    world().clock.advance("1s");
    await letAllThrough(load, heir.drain());
    expect((await heir.getRun(next))?.status).toBe("COMPLETED");
    expect((await heir.getRun(lost))?.status).toBe("COMPLETED");
    expect(load.most).toBe(1);
  });

  test("D7: a cancelled run gives its slot back at once", async () => {
    const load = new Load();
    const client = world().client({ jobs: [load.job("j", 1)] });
    const first = await client.invoke("j", 1);
    await client.invoke("j", 2);
    const draining = client.drain();
    await until(() => load.inside.length === 1);
    await client.cancelRun(first);
    load.inside.length = 0;
    await until(() => load.inside.length === 1);
    expect(load.inside).toEqual(["j 2"]);
    await letAllThrough(load, draining);
  });

  test("D9: a client executes no more runs at a time than its concurrency", async () => {
    const load = new Load();
    const client = world().client({ concurrency: 3, jobs: [load.job("j", undefined)] });
    await client.start();
    for (let n = 0; n < 10; n++) await client.invoke("j", n);
    await turns(100);
    expect(load.inside).toHaveLength(3);
    await letAllThrough(load, client.drain());
    expect(load).toMatchObject({ most: 3, done: 10 });
  });

  test("D7: a key function that gives no text fails the run and no other", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      concurrencyLimit: { limit: 1, key: (payload) => payload as string },
      run: async () => "fine",
    });
    await expect(client.invoke(job, 5)).rejects.toMatchObject({ code: "OPTION_INVALID" });
    const handle = await client.invoke(job, "key");
    await client.drain();
    expect((await client.getRun(handle))?.output).toBe("fine");
  });

  test("D7: a job with a limit is refused by a client whose storage keeps none", () => {
    const kept = world().storage();
    const capabilities = { ...kept.capabilities, limits: false };
    const storage = new Proxy(kept, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name === "capabilities") return capabilities;
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const client = world().client({ storage });
    const job = { id: "j", trigger: invokeTrigger(), run: () => {} };
    expect(() => client.defineJob({ ...job, concurrencyLimit: 1 })).toThrow(/"j".*keeps none/);
    expect(client.defineJob(job).id).toBe("j");
  });
});
