// Rows of the table for Postgres, beside the client "pg" alone on the same server.
import { postgresPeers } from "./postgres-peers.mjs";
import { n } from "./table.mjs";

export function postgresRows({ table, raw, repeated, profileOf, ofPeer, besidePeer }) {
  const peers = postgresPeers({ table, ofPeer, besidePeer });
  const measured = (workload, options = {}) => ({
    ...repeated("pawl-postgres", workload, options),
    profile: profileOf("pawl-postgres", workload, options),
  });
  return { sequential, throughput, machineCpu, enqueue, latency, replay, waiting, fanOut };

  function sequential() {
    const { msPerTask, commitMs, profile } = measured("sequential");
    table.add("one run, 100 sequential tasks, Postgres", msPerTask / commitMs, {
      limit: 1.25,
      unit: "× a raw commit",
      digits: 2,
      note: `${n(msPerTask, 3)} ms against ${n(commitMs, 3)} ms`,
      profile,
    });
    peers.sequential();
  }

  function throughput() {
    const { tasksPerS, cpuUsPerTask, profile } = measured("throughput", {
      concurrency: 1_000,
      flight: 256,
    });
    table.add("1,000 runs × 10 tasks, Postgres", ((tasksPerS * 1.2) / raw.rowsPerS) * 100, {
      limit: 35,
      least: true,
      unit: "% of raw rows/s",
      digits: 1,
      note: `${n(tasksPerS)} tasks/s, ${n(cpuUsPerTask, 1)} µs CPU/task here; ${n(raw.rowsPerS)} raw rows/s`,
      profile,
    });
    peers.throughput();
  }

  function machineCpu() {
    const { appUs, serverUs, allUs } = repeated("pawl-postgres", "machineCpu", {
      concurrency: 1_000,
    });
    table.add("… CPU of the machine, the server's included", appUs + serverUs, {
      limit: 60,
      unit: "µs/task",
      digits: 1,
      note: `app ${n(appUs, 1)}, server ${n(serverUs, 1)}; all that the machine did meanwhile ${n(allUs, 1)}`,
    });
  }

  function enqueue() {
    const { flightPerS, batchPerS, profile } = measured("enqueue");
    const perSecond = { least: true, unit: "/s", scaled: true, profile };
    table.add("enqueue 10,000 runs, 64 in flight", flightPerS, { limit: 40_000, ...perSecond });
    table.add("… in batches of 1,000", batchPerS, { limit: 100_000, ...perSecond });
    peers.enqueue();
  }

  function latency() {
    const { p50Ms, p99Ms, profile } = measured("wakeUp");
    table.add("trigger → first line, same process, idle, p50", p50Ms, {
      limit: 2,
      unit: "ms",
      digits: 2,
      note: `p99 ${n(p99Ms, 2)} ms`,
      profile,
    });
    peers.wakeUp();
  }

  function replay() {
    const { dueToEndMs, growth, profile } = measured("replay", { maxParked: 0 });
    const ms = { limit: 60, unit: "ms", scaled: true, profile };
    table.add("replay of 10,000 tasks, due → end", dueToEndMs, ms);
    table.add("… growth, last 1,000 ÷ first 1,000", growth, { limit: 1.15, digits: 2 });
  }

  function waiting() {
    const { lastResumedMs, resumedP50Ms, profile } = measured("waiting", { maxParked: 0 });
    table.add("10,000 waiting runs, all resumed after due", lastResumedMs, {
      limit: 600,
      unit: "ms",
      scaled: true,
      note: `p50 ${n(resumedP50Ms)} ms`,
      profile,
    });
  }

  function fanOut() {
    const { ms, profile } = measured("fanOut");
    const limit = { limit: 20, unit: "ms", digits: 1, scaled: true, profile };
    table.add("1,000 parallel tasks in one run", ms, limit);
  }
}
