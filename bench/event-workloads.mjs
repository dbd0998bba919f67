// Events, schedules and children: workloads that the peers have no words for. Each opens clients of its own and answers
// plain figures. What is counted is counted at the storage adapter, from outside of the engine.
import { join } from "node:path";
import {
  createClient,
  cronTrigger,
  eventTrigger,
  intervalTrigger,
  invokeTrigger,
} from "../dist/index.js";
import { memory } from "../dist/memory.js";
import { sqlite } from "../dist/sqlite.js";
import { cpuSince, median, now, pool, sleep, TEXT } from "./measure.mjs";
import { beginProfile, endProfile } from "./profile.mjs";
import { groupsOf, openRaw } from "./systems/raw.mjs";

/** A storage whose answers to one method are looked at. */
function observed(storage, method, look) {
  return new Proxy(storage, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== method) return value.bind(target);
      return async (...args) => {
        const answer = await value.apply(target, args);
        look(answer);
        return answer;
      };
    },
  });
}

/** Jobs that hear events and do nothing. */
function listenTo(client, count, triggerOf) {
  for (let i = 0; i < count; i++)
    client.defineJob({ id: `job${i}`, trigger: triggerOf(i), run: () => {} });
}

/** Equality, bounds, prefix and list, as filters of users are; each of these is for another customer. */
const filterOf = (i) => ({
  status: ["paid"],
  amount: [{ $gte: 100 }, { $lt: 10_000 }],
  customer: { id: [`c${i}`], mail: [{ $endsWith: ".co" }] },
});
const order = (i) => ({
  status: "paid",
  amount: 500,
  customer: { id: `c${i}`, mail: "a@b.co", tags: ["a", "b"] },
  text: TEXT,
});

const eventSender = (client, flight) => (count, event) =>
  pool(count, flight, (i) => client.sendEvent(event(i)));

export const eventWorkloads = {
  /** Events of one name that many jobs hear, each with a filter; each event fits one of them. All of sendEvent, in memory. */
  async filters({ jobs = 1_000, events = 1_000, warm = 2, rounds = 5 }) {
    const client = createClient({ storage: memory() });
    listenTo(client, jobs, (i) => eventTrigger({ name: "order", filter: filterOf(i) }));
    const rates = [];
    const cpus = [];
    for (let round = 0; round < warm + rounds; round++) {
      if (round === warm) await beginProfile();
      const started = now();
      const cpu = process.cpuUsage();
      await eventSender(client, 64)(events, (i) => ({ name: "order", payload: order(i % jobs) }));
      if (round < warm) continue;
      rates.push((events * jobs) / ((now() - started) / 1_000));
      cpus.push(cpuSince(cpu) / events);
    }
    const figures = { perS: median(rates), cpuUsPerEvent: median(cpus), jobs };
    await client.stop({ timeout: 0 });
    return { ...figures, ...(await endProfile()) };
  },

  /** Events that one job hears, where there are no other jobs, and where 999 hear events of other names; in turn. */
  async otherNames({ events = 2_000, warm = 5, rounds = 41 }) {
    const clientOf = (jobs) => {
      const client = createClient({ storage: memory() });
      listenTo(client, jobs, (i) => eventTrigger({ name: `name${i}` }));
      return client;
    };
    const measured = [1, 1_000].map((jobs) => ({ client: clientOf(jobs), times: [] }));
    for (let round = 0; round < warm + rounds; round++) {
      const inTurn = round % 2 === 0 ? measured : [...measured].reverse();
      for (const { client, times } of inTurn) {
        globalThis.gc?.();
        const started = now();
        await eventSender(client, 64)(events, () => ({ name: "name0", payload: { text: TEXT } }));
        if (round >= warm) times.push(now() - started);
      }
    }
    const [alone, among] = measured.map(({ times }) => events / (median(times) / 1_000));
    for (const { client } of measured) await client.stop({ timeout: 0 });
    return { ratio: alone / among, alonePerS: alone, amongPerS: among };
  },

  /** Each event starts a run of each of 50 jobs; nothing executes them. In turn with groups of 100 rows of the driver itself. */
  async hearers({ dir, jobs = 50, events = 10_000, flight = 64, warm = 1_000 }) {
    const raw = await openRaw(dir);
    const group = groupsOf(raw);
    const client = createClient({ storage: sqlite(join(dir, "pawl.db")) });
    listenTo(client, jobs, () => eventTrigger({ name: "order" }));
    const send = eventSender(client, flight);
    const event = (i) => ({ name: "order", payload: { i, text: TEXT } });
    await send(warm, event);
    await beginProfile();
    const parts = 10;
    const spent = { ours: 0, raw: 0, rawRows: 0 };
    const cpu = { us: 0 };
    for (let part = 0; part < parts; part++) {
      const rawFrom = now();
      while (now() - rawFrom < 400) {
        group();
        spent.rawRows += 100;
      }
      spent.raw += now() - rawFrom;
      const before = process.cpuUsage();
      const from = now();
      await send(events / parts, event);
      spent.ours += now() - from;
      cpu.us += cpuSince(before);
    }
    const profile = await endProfile();
    await client.stop({ timeout: 0 });
    const rows = events * (jobs + 1);
    const rowsPerS = rows / (spent.ours / 1_000);
    const rawRowsPerS = spent.rawRows / (spent.raw / 1_000);
    const figures = { rowsPerS, rawRowsPerS, percent: (rowsPerS / rawRowsPerS) * 100 };
    return { ...figures, cpuUsPerRow: cpu.us / rows, ...profile };
  },

  /**
   * Jobs that tick every second: CPU time of the process as a share of one core. With `executed` 0 this process only
   * keeps the schedules and starts the runs, as one does that has other jobs; with 1 it also executes them.
   */
  async schedules({ dir, schedules = 1_000, seconds = 20, executed = 1, cron = 1 }) {
    const path = join(dir, "pawl.db");
    const times = [];
    const owner = createClient({ storage: sqlite(path), concurrency: 100 });
    for (let i = 0; i < schedules; i++) {
      owner.defineJob({
        id: `tick${i}`,
        trigger:
          cron === 1 ? cronTrigger({ cron: "* * * * * *" }) : intervalTrigger({ seconds: 1 }),
        run: ({ ts }) => {
          times.push(Date.now() - ts.getTime());
        },
      });
    }
    await owner.getSchedules();
    if (executed === 0) await owner.stop();
    const worker = executed === 0 ? createClient({ storage: sqlite(path) }) : owner;
    await worker.start();
    await sleep(5_000);
    await beginProfile();
    times.length = 0;
    const before = (await worker.stats()).runs;
    const from = now();
    const cpu = process.cpuUsage();
    await sleep(seconds * 1_000);
    const us = cpuSince(cpu);
    const ms = now() - from;
    const after = (await worker.stats()).runs;
    const profile = await endProfile();
    const total = (runs) => Object.values(runs).reduce((sum, count) => sum + count, 0);
    const ticks = total(after) - total(before);
    await worker.stop({ timeout: 0 });
    return {
      corePercent: us / 10 / ms,
      usPerTick: us / ticks,
      ticksPerS: ticks / (ms / 1_000),
      lateMs: times.length === 0 ? Number.NaN : median(times),
      ...profile,
    };
  },

  /** Runs that wait for events of one name, each for another customer: how many of them an event looks at. */
  async waiters({ dir, runs = 10_000, events = 500 }) {
    let examined = 0;
    const storage = observed(sqlite(join(dir, "pawl.db")), "listWaiting", (waiting) => {
      examined += waiting.length;
    });
    const client = createClient({ storage, concurrency: 256, maxParked: 0 });
    const received = new Map();
    const job = client.defineJob({
      id: "waiter",
      trigger: invokeTrigger(),
      run: async ({ i }, io) => {
        const event = await io.waitForEvent("order", {
          name: "order",
          filter: { customer: { id: [`c${i}`] }, amount: [{ $gte: 100 }] },
        });
        received.set(i, event.payload.customer.id);
      },
    });
    await client.start();
    await pool(runs, 64, (i) => client.invoke(job, { i }));
    while (((await client.stats()).runs.WAITING ?? 0) < runs) await sleep(50);
    await beginProfile();
    const latencies = [];
    const stride = Math.floor(runs / events);
    for (let e = 0; e < events; e++) {
      const i = e * stride;
      const from = now();
      await client.sendEvent({ name: "order", payload: order(i) });
      while (!received.has(i)) await new Promise(setImmediate);
      latencies.push(now() - from);
    }
    const right = [...received].every(([i, id]) => id === `c${i}`);
    if (received.size !== events || !right) throw new Error("An event went astray.");
    const figures = { examined: examined / events, sendToEndMs: median(latencies), runs };
    await client.stop({ timeout: 0 });
    return { ...figures, ...(await endProfile()) };
  },

  /** One parent and a batch of children: how often the parent is claimed again, and how long all takes. */
  async batch({ dir, children = 1_000, maxParked = 1_000, warm = 1, rounds = 5 }) {
    const turns = new Map();
    const count = (id) => turns.set(id, (turns.get(id) ?? 0) + 1);
    const claimed = observed(sqlite(join(dir, "pawl.db")), "claimRuns", ({ runs }) => {
      for (const { run } of runs) count(run.id);
    });
    // A run may begin without a claim, leased when it is created.
    const storage = observed(claimed, "createRuns", (answers) => {
      for (const { groups = [] } of answers)
        for (const { first } of groups) if (first.leaseUntil !== null) count(first.id);
    });
    const client = createClient({ storage, concurrency: 256, maxParked });
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: ({ i }) => i });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        const items = Array.from({ length: children }, (_item, i) => ({ payload: { i } }));
        const results = await io.batchInvokeAndWait("all", child, items);
        return results.reduce((sum, { output }) => sum + output, 0);
      },
    });
    await client.start();
    const resumptions = [];
    const times = [];
    for (let round = 0; round < warm + rounds; round++) {
      if (round === warm) await beginProfile();
      const from = now();
      const { id } = await client.invoke(parent, undefined);
      const run = await client.waitForRun(id);
      if (run.output !== (children * (children - 1)) / 2) throw new Error("A child is missing.");
      if (round < warm) continue;
      times.push(now() - from);
      resumptions.push(turns.get(id) - 1);
    }
    await client.stop({ timeout: 0 });
    return { resumptions: Math.max(...resumptions), ms: median(times), ...(await endProfile()) };
  },
};
