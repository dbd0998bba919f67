// Rows of the table for a store that many processes share, or that holds much: the workloads of fleet-workloads.mjs.
import { postgresPeers } from "./postgres-peers.mjs";
import { n } from "./table.mjs";

export function fleetRows({ table, repeated, profileOf, once, ofPeer }) {
  const peers = postgresPeers({ table, ofPeer });
  return { latencyElsewhere, twoProcesses, backlog, claims };

  function latencyElsewhere() {
    const { p50Ms, p99Ms } = repeated("pawl-postgres", "wakeUpElsewhere");
    const profile = profileOf("pawl-postgres", "wakeUpElsewhere");
    const ms = { unit: "ms", digits: 2 };
    const p50 = { limit: 4, ...ms, profile };
    table.add("trigger in another process → first line, idle, p50", p50Ms, p50);
    table.add("… p99", p99Ms, { limit: 10, ...ms });
    peers.wakeUpElsewhere();
  }

  function twoProcesses() {
    const { one, two, share } = repeated("pawl-postgres", "twoProcesses", { concurrency: 1_000 });
    table.add("1,000 runs × 10 tasks, two worker processes ÷ one", two / one, {
      limit: 1,
      least: true,
      unit: "×",
      digits: 2,
      note: `sent by a third: ${n(two)} against ${n(one)} tasks/s; the second did ${n(share * 100)} %`,
    });
  }

  function backlog() {
    const { firstPerS, lastPerS, drainMs } = once("backlog");
    table.add("backlog of 100,000 runs, last tenth ÷ first", (lastPerS / firstPerS) * 100, {
      limit: 80,
      least: true,
      unit: "% of its rate",
      note: `${n(firstPerS)}, then ${n(lastPerS)} runs/s; drained in ${n(drainMs / 1_000, 1)} s`,
    });
  }

  function claims() {
    const { fewP50Ms, manyP50Ms, fewP99Ms, manyP99Ms } = repeated("pawl-postgres", "claims");
    table.add("… claim of one run, p99 at 100,000 ÷ at 1,000", manyP99Ms / fewP99Ms, {
      limit: 2,
      unit: "×",
      digits: 2,
      note: `${n(manyP99Ms, 2)} against ${n(fewP99Ms, 2)} ms; p50 ${n(manyP50Ms, 2)} against ${n(fewP50Ms, 2)} ms`,
    });
  }
}
