// One function a workload; each gets an opened system and answers plain figures. All measure a warm process:
// the first rounds, in which code is compiled and the write-ahead log grows to its size, are not counted.
import { entries, finishes, lags, marks } from "./jobs.mjs";
import { cpuSince, median, now, pool, quantile, sleep } from "./measure.mjs";
import { beginProfile, endProfile } from "./profile.mjs";
import { machineCpu, serverCpuBetween } from "./server-cpu.mjs";
import { openRaw } from "./systems/raw.mjs";

const warmUp = async (system) => {
  const done = finishes.next(1);
  await system.enqueue("seq", { id: "warm", n: 10 });
  await done;
};

/**
 * Rounds that are not counted: at least `least`, and as many as `ms` take. A fast system goes through three rounds
 * in a second, in which half of its code has not been compiled yet; a slow one has been through that long before.
 * Answers how many they were.
 */
async function warmRounds(least, ms, round) {
  const end = now() + ms;
  let done = 0;
  while (done < least || now() < end) await round(done++);
  return done;
}

/** `runs` runs of 10 tasks, from the first trigger to the last completion. */
async function tenTasksEach(system, { round, runs, flight }) {
  const done = finishes.next(runs);
  await pool(runs, flight, (i) => system.enqueue("seq", { id: `${round}-${i}`, n: 10 }));
  await done;
}

export const workloads = {
  /** One run, 100 sequential tasks, alone; in turn with 100 raw commits to a file beside it, so that noise of the disk meets both. */
  async sequential(system, { dir, warm = 60, rounds = 21 }) {
    const raw = await (system.openRaw ?? openRaw)(dir);
    await system.start();
    const perTask = [];
    const perCommit = [];
    for (let i = 0; i < warm + rounds; i++) {
      const started = now();
      for (let row = 0; row < 100; row++) await raw.commitOne();
      const rawMs = (now() - started) / 100;
      const done = finishes.next(1);
      await system.enqueue("seq", { id: `r${i}`, n: 100 });
      await done;
      if (i < warm) continue;
      if (i === warm) await beginProfile();
      perCommit.push(rawMs);
      perTask.push((now() - entries.get(`r${i}`)[0]) / 100);
    }
    const figures = { msPerTask: median(perTask), commitMs: median(perCommit) };
    await raw.close?.();
    return { ...figures, driver: raw.driver, ...(await endProfile()) };
  },

  /** 1,000 runs of 10 tasks, from the first trigger to the last completion. */
  async throughput(system, { flight = 256, warm = 3, warmMs = 5_000, rounds = 5, runs = 1_000 }) {
    await system.start();
    await warmUp(system);
    const measure = (round) => tenTasksEach(system, { round, runs, flight });
    const warmed = await warmRounds(warm, warmMs, measure);
    const rates = [];
    const cpus = [];
    await beginProfile();
    for (let round = warmed; round < warmed + rounds; round++) {
      const cpu = process.cpuUsage();
      const started = now();
      await measure(round);
      rates.push((runs * 10) / ((now() - started) / 1_000));
      cpus.push(cpuSince(cpu) / (runs * 10));
    }
    const figures = { tasksPerS: median(rates), best: Math.max(...rates) };
    return { ...figures, cpuUsPerTask: median(cpus), ...(await endProfile()) };
  },

  /** CPU of a task in those, of this process, of the server with it, and of all that went on on the machine. */
  async machineCpu(system, { flight = 256, warm = 3, warmMs = 5_000, rounds = 5 }) {
    await system.start();
    await warmUp(system);
    const measure = (round) => tenTasksEach(system, { round, runs: 1_000, flight });
    const warmed = await warmRounds(warm, warmMs, measure);
    const before = { app: process.cpuUsage(), server: await system.serverCpu(), all: machineCpu() };
    for (let round = warmed; round < warmed + rounds; round++) await measure(round);
    const tasks = rounds * 10_000;
    const appUs = cpuSince(before.app) / tasks;
    const allUs = (machineCpu() - before.all) / tasks;
    const serverUs = serverCpuBetween(before.server, await system.serverCpu()) / tasks;
    return { appUs, serverUs, allUs };
  },

  /** Runs of many tasks, one after the other: cost of a lone task. */
  async lone(system, { tasks = 10_000, warm = 2, rounds = 5 }) {
    await system.start();
    const times = [];
    for (let round = 0; round < warm + rounds; round++) {
      if (round === warm) await beginProfile();
      const id = `lone${round}`;
      const done = finishes.next(1);
      await system.enqueue("seq", { id, n: tasks });
      await done;
      if (round >= warm) times.push(((now() - entries.get(id)[0]) / tasks) * 1_000);
    }
    return { usPerTask: median(times), ...(await endProfile()) };
  },

  /** From the trigger to the first line of the body, worker idle. */
  async wakeUp(system, { samples = 200, budgetMs = 25_000 }) {
    await system.start();
    await warmUp(system);
    await sleep(500);
    await beginProfile();
    const latencies = [];
    const commits = [];
    const end = now() + budgetMs;
    for (let i = 0; i < samples && now() < end; i++) {
      await sleep(20 + Math.random() * 60);
      const done = finishes.next(1);
      const started = now();
      await system.enqueue("seq", { id: `w${i}`, n: 1 });
      commits.push(now() - started);
      await done;
      latencies.push(entries.get(`w${i}`)[0] - started);
    }
    return {
      p50Ms: median(latencies),
      p99Ms: quantile(latencies, 0.99),
      commitMs: median(commits),
      samples: latencies.length,
      ...(await endProfile()),
    };
  },

  /** Enqueue only: no worker. */
  async enqueue(system, { runs = 10_000 }) {
    let started = 0;
    for (const count of [runs / 2, runs]) {
      started = now();
      await pool(count, 64, (i) => system.enqueue("seq", { id: `e${i}`, n: 10 }));
    }
    const flightPerS = runs / ((now() - started) / 1_000);
    if (system.enqueueMany === undefined) return { flightPerS };
    await beginProfile();
    started = now();
    for (let from = 0; from < runs; from += 1_000) {
      await system.enqueueMany(
        "seq",
        Array.from({ length: 1_000 }, (_, i) => ({ id: `b${from + i}`, n: 10 })),
      );
    }
    const batchPerS = runs / ((now() - started) / 1_000);
    return { flightPerS, batchPerS, ...(await endProfile()) };
  },

  /** n recorded tasks after a park, executions not kept: due → end; and growth over the first pass. */
  async replay(system, { tasks = 10_000, ms = 2_000 }) {
    await system.start();
    await warmUp(system);
    const done = finishes.next(1);
    await system.enqueue("replay", { id: "p", n: tasks, ms });
    while (!marks.has("p")) await sleep(20);
    await sleep(ms / 2);
    await beginProfile();
    await done;
    const profile = await endProfile();
    const { times, parkedAt, endedAt } = marks.get("p");
    const thousands = times.slice(1).map((time, i) => time - times[i]);
    const entered = entries.get("p");
    return {
      dueToEndMs: endedAt - parkedAt - ms,
      executions: entered.length,
      growth: thousands.at(-1) / thousands[0],
      firstPassMs: times.at(-1) - times[0],
      ...profile,
    };
  },

  /** 10,000 waiting runs, dropped from memory. */
  async waiting(system, { runs = 10_000, aheadMs = 12_000 }) {
    await system.start();
    await sleep(300);
    globalThis.gc?.();
    const before = process.memoryUsage();
    const until = Date.now() + aheadMs;
    const done = finishes.next(runs);
    await pool(runs, 64, (i) => system.enqueue("sleeper", { id: `z${i}`, until }));
    while (entries.size < runs) await sleep(20);
    await sleep(1_000);
    entries.clear();
    globalThis.gc?.();
    const asleep = process.memoryUsage();
    const idleFrom = now();
    const cpu = process.cpuUsage();
    await sleep(Math.max(0, until - Date.now() - 500));
    const idleCpu = cpuSince(cpu) / 10 / (now() - idleFrom);
    await beginProfile();
    await done;
    return {
      heapBytesPerRun: (asleep.heapUsed - before.heapUsed) / runs,
      idleCpuPercent: idleCpu,
      lastResumedMs: Math.max(...lags),
      resumedP50Ms: median(lags),
      ...(await endProfile()),
    };
  },

  /** One run with 1,000 tasks at once. */
  async fanOut(system, { warm = 10, rounds = 15 }) {
    await system.start();
    const times = [];
    for (let i = 0; i < warm + rounds; i++) {
      if (i === warm) await beginProfile();
      const done = finishes.next(1);
      await system.enqueue("fan", { id: `f${i}`, n: 1_000 });
      await done;
      times.push(marks.get(`f${i}`));
    }
    return { ms: median(times.slice(warm)), firstMs: times[0], ...(await endProfile()) };
  },
};
