// Rows of other systems on Postgres, and of Restate, which has a store of its own. One that cannot be measured says so.
import { n } from "./table.mjs";

/** As each of them is fastest. */
const libraries = {
  dbos: { concurrency: 256, flight: 256 },
  absurd: { concurrency: 256, flight: 256 },
  "openworkflow-postgres": { concurrency: 64, flight: 64 },
};
const restate = { concurrency: 256, flight: 256 };
/** At their speed fewer runs tell the same. */
const brief = { warm: 1, rounds: 3, runs: 500 };

export function postgresPeers({ table, ofPeer, besidePeer }) {
  /** Undefined if there are no figures; then the table says why. */
  const measured = (peer, workload, options) => {
    const figures = ofPeer(peer, workload, options);
    if (figures.error === undefined) return figures;
    table.note(`… ${peer}`, `no result: ${figures.error}`);
  };

  return { sequential, throughput, enqueue, wakeUp, wakeUpElsewhere };

  function sequential() {
    for (const peer of [...Object.keys(libraries), "restate"]) {
      const figures = measured(peer, "sequential", { warm: 5, rounds: 7, concurrency: 16 });
      if (figures === undefined) continue;
      const { msPerTask, commitMs } = figures;
      const times = msPerTask / commitMs;
      table.note(`… ${peer}`, `${n(times, 2)} × a raw commit, ${n(msPerTask, 2)} ms`);
    }
  }

  function throughput() {
    for (const [peer, options] of Object.entries({ ...libraries, restate })) {
      const figures = measured(peer, "throughput", { ...options, ...brief });
      if (figures === undefined) continue;
      // Once more for each of them, since the machine is not the same from one minute to the next, and on their Node.
      const beside = besidePeer("throughput", { concurrency: 1_000, flight: 256 });
      table.add(`… against ${peer}`, beside.tasksPerS / figures.tasksPerS, {
        limit: peer === "restate" ? 10 : 20,
        least: true,
        unit: "×",
        digits: 1,
        note: `${peer}: ${n(figures.tasksPerS)} tasks/s, Pawl beside it ${n(beside.tasksPerS)}`,
      });
    }
  }

  function enqueue() {
    for (const peer of [...Object.keys(libraries), "graphile-worker"]) {
      const figures = measured(peer, "enqueue", { runs: 2_000 });
      if (figures === undefined) continue;
      const { flightPerS, batchPerS } = figures;
      const batches = batchPerS === undefined ? "no batches" : `${n(batchPerS)}/s in batches`;
      table.note(`… ${peer}`, `${n(flightPerS)}/s, ${batches}`);
    }
  }

  function wakeUp() {
    for (const peer of [...Object.keys(libraries), "graphile-worker", "restate"])
      wakeUpOf(peer, "wakeUp");
  }

  function wakeUpElsewhere() {
    wakeUpOf("graphile-worker", "wakeUpElsewhere");
  }

  function wakeUpOf(peer, workload) {
    const figures = measured(peer, workload, { concurrency: 16, budgetMs: 3_500 });
    if (figures === undefined) return;
    const { p50Ms, p99Ms } = figures;
    table.note(`… ${peer}`, `p50 ${n(p50Ms, 1)} ms, p99 ${n(p99Ms, 1)} ms`);
  }
}
