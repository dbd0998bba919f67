// Workloads of a store that many processes share, or that holds much; the shape is that of workloads.mjs.
import { Member } from "./fleet.mjs";
import { entries, finishes } from "./jobs.mjs";
import { median, now, quantile, shared, sleep } from "./measure.mjs";
import { beginProfile, endProfile } from "./profile.mjs";

const payloads = (name, count, n) =>
  Array.from({ length: count }, (_, i) => ({ id: `${name}-${i}`, n }));

/** As many at once as fit in a batch. */
async function fill(system, name, runs, tasks) {
  for (let from = 0; from < runs; from += 1_000) {
    const count = Math.min(1_000, runs - from);
    await system.enqueueMany("seq", payloads(`${name}${from}`, count, tasks));
  }
}

export const fleetWorkloads = {
  /** From the trigger in another process to the first line of the body in this one, which is idle. */
  async wakeUpElsewhere(system, { systemName, samples = 200, budgetMs = 25_000 }) {
    await system.start();
    const sender = new Member(systemName, system.store, 1);
    const latencies = [];
    const trigger = async (id) => {
      const done = finishes.next(1);
      const sentAt = await sender.obey("send", "seq", { id, n: 1 });
      await done;
      return shared(entries.get(id)[0]) - sentAt;
    };
    for (let i = 0; i < 20; i++) await trigger(`warm${i}`);
    await sleep(500);
    await beginProfile();
    const end = now() + budgetMs;
    for (let i = 0; i < samples && now() < end; i++) {
      await sleep(20 + Math.random() * 60);
      latencies.push(await trigger(`w${i}`));
    }
    const profile = await endProfile();
    await sender.leave();
    return { p50Ms: median(latencies), p99Ms: quantile(latencies, 0.99), ...profile };
  },

  /** Runs of 10 tasks sent by this process, executed by one other process, and then by two. */
  async twoProcesses(system, { systemName, concurrency, runs = 2_000, warm = 2, rounds = 4 }) {
    const members = [];
    const rateOfOneMore = async () => {
      const member = new Member(systemName, system.store, concurrency);
      await member.obey("start");
      members.push(member);
      const rates = [];
      for (let round = 0; round < warm + rounds; round++) {
        const ended = members.reduce((sum, { finished }) => sum + finished, 0);
        const done = Member.finished(members, ended + runs);
        const started = now();
        await fill(system, `${members.length}-${round}-`, runs, 10);
        await done;
        rates.push((runs * 10) / ((now() - started) / 1_000));
      }
      return median(rates.slice(warm));
    };
    const one = await rateOfOneMore();
    const two = await rateOfOneMore();
    const [first, second] = members.map(({ finished }) => finished);
    await Promise.all(members.map((member) => member.leave()));
    return { one, two, share: second / (first + second - (warm + rounds) * runs) };
  },

  /** Drains many runs that wait for a worker: runs per second in the first and in the last tenth. */
  async backlog(system, { open, runs = 100_000 }) {
    const warm = await open();
    await fill(warm, "warm", 5_000, 1);
    const warmed = finishes.next(5_000);
    await warm.start();
    await warmed;
    await warm.close();
    await fill(system, "b", runs, 1);
    const before = finishes.count;
    // What it takes to start is not the drain.
    const begun = finishes.next(1);
    await system.start();
    await begun;
    const started = now();
    const first = finishes.count;
    await finishes.until(before + runs / 10);
    const firstPerMs = (finishes.count - first) / (now() - started);
    await finishes.until(before + runs * 0.9);
    const lastFrom = now();
    const left = before + runs - finishes.count;
    await finishes.until(before + runs);
    const ended = now();
    const lastPerMs = left / (ended - lastFrom);
    return { firstPerS: firstPerMs * 1e3, lastPerS: lastPerMs * 1e3, drainMs: ended - started };
  },

  /** Time of a claim of one run, with few and with many waiting, in turn, so that noise meets both. */
  async claims(system, { open, few = 1_000, many = 100_000, warm = 50, samples = 500 }) {
    const small = await open();
    await fill(small, "f", few, 1);
    await fill(system, "m", many, 1);
    const times = { few: [], many: [] };
    const timed = async (name, claimOne) => {
      const started = now();
      const { runs } = await claimOne();
      times[name].push(now() - started);
      if (runs.length !== 1) throw new Error(`the claim took ${runs.length} runs`);
    };
    for (let i = 0; i < warm + samples; i++) {
      await timed("few", small.claimOne);
      await timed("many", system.claimOne);
    }
    await small.close();
    const of = (name, q) => quantile(times[name].slice(warm), q);
    return {
      fewP50Ms: of("few", 0.5),
      manyP50Ms: of("many", 0.5),
      fewP99Ms: of("few", 0.99),
      manyP99Ms: of("many", 0.99),
    };
  },
};
