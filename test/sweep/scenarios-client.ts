import {
  type AnyJob,
  defineJob,
  eventTrigger,
  type Io,
  invokeTrigger,
  type JobOptions,
} from "pawl";
import type { Host } from "./host.js";
import type { Process } from "./process.js";
import type { Scenario } from "./scenario.js";
import type { Stage } from "./stage.js";

type Program = (io: Io, process: Process, runId: string) => Promise<unknown>;
type Definition = Partial<JobOptions<unknown, unknown, unknown, Record<never, never>>>;

export function job(process: Process, program: Program, options: Definition = {}): AnyJob {
  return defineJob({
    id: "job",
    trigger: invokeTrigger(),
    ...options,
    run: (_payload: unknown, io, context) => program(io, process, context.run.id),
  });
}

async function startedWorker(stage: Stage, program: Program, options?: Definition): Promise<Host> {
  const worker = stage.host("worker", { jobs: (process) => [job(process, program, options)] });
  await worker.start();
  return worker;
}

const news = eventTrigger({ name: "news" });
const quick: Program = (io, p) => p.task(io, "a", () => "done");

/** What commands start and how often: all that is asked of the one who repeats them. */
export const clientScenarios: readonly Scenario[] = [
  {
    name: "sendEvent twice with one id",
    async script(stage) {
      const worker = await startedWorker(stage, quick, { trigger: news });
      const event = { name: "news", id: "only", payload: 1 };
      const first = await worker.command((client) => client.sendEvent(event));
      const second = await worker.command((client) => client.sendEvent(event));
      if (first.runIds.join() !== second.runIds.join() || first.runIds.length !== 1)
        throw new Error(`the event started ${first.runIds} and then ${second.runIds}`);
      await stage.ended(...first.runIds);
    },
    check: (end) => {
      end.count("job", 1, { exact: true });
      end.count("$event", 1, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
  },
  {
    name: "sendEvents, all or nothing",
    async script(stage) {
      const worker = await startedWorker(stage, quick, { trigger: news });
      const events = ["x", "y"].map((id) => ({ name: "news", id, payload: id }));
      const sent = await worker.command((client) => client.sendEvents(events));
      await stage.ended(...sent.flatMap(({ runIds }) => runIds));
    },
    check: (end) => {
      end.count("job", 2, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
  },
  {
    name: "invoke twice with one idempotency key",
    async script(stage) {
      const worker = await startedWorker(stage, quick);
      const options = { idempotencyKey: "k" };
      const first = await worker.command((client) => client.invoke("job", 1, options));
      const second = await worker.command((client) => client.invoke("job", 1, options));
      if (first.id !== second.id) throw new Error("one key made two runs");
      await stage.ended(first.id);
    },
    check: (end) => {
      end.count("job", 1, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
  },
  {
    name: "a delayed run",
    async script(stage) {
      const worker = await startedWorker(stage, quick);
      const { id } = await worker.command((client) => client.invoke("job", 1, { delay: "45s" }));
      await stage.ended(id);
    },
    check: (end) => {
      end.count("job", 1);
      for (const run of end.of("job")) {
        end.one(run, "COMPLETED", "done");
        const ms = (run.startedAt ?? 0) - run.createdAt;
        // The instant is fixed before the run is stored, which an outage may delay.
        const waited = end.stage.fired?.kind.startsWith("away") === true ? 0 : 44_000;
        if (ms < waited) throw new Error(`it started after ${ms} ms`);
      }
    },
    slackMs: 45_000,
  },
  {
    name: "three runs under a concurrency limit of one",
    async script(stage) {
      const worker = await startedWorker(
        stage,
        async (io, p, runId) => {
          await p.task(io, "a", () => p.occupy("slot", runId, 1));
          await io.wait("pause", "2s");
          return p.task(io, "b", async () => {
            await p.occupy("slot", runId, 1);
            return "done";
          });
        },
        { concurrencyLimit: 1 },
      );
      for (const idempotencyKey of ["x", "y", "z"])
        await worker.command((client) => client.invoke("job", 1, { idempotencyKey }));
      await stage.ended(...(await stage.runs()).map(({ id }) => id));
    },
    check: (end) => {
      end.count("job", 3, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
    slackMs: 30_000,
  },
  {
    name: "cancelRun while it waits",
    maxParked: [1_000, 0],
    async script(stage) {
      const worker = await startedWorker(stage, async (io, p) => {
        await p.task(io, "before", () => null);
        await io.wait("long", "2m");
        return p.task(io, "never", () => "too late");
      });
      const options = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("job", 1, options));
      await stage.until(async () => (await stage.run(id)).status === "WAITING");
      await worker.command((client) => client.cancelRun(id));
      if ((await stage.run(id)).status !== "CANCELED")
        throw new Error("acknowledged, not canceled");
      await stage.pause(130_000);
    },
    check: (end) => {
      end.all("job", "CANCELED");
      for (const run of end.of("job"))
        if (end.stage.ledger.executionsOf(`${run.id}/never`) > 0)
          throw new Error("a task started after the cancel");
    },
  },
  {
    name: "cancelRun while it executes",
    async script(stage) {
      const worker = await startedWorker(stage, async (io, p) => {
        await p.task(io, "long", () => stage.pause(20_000));
        return p.task(io, "never", () => "too late");
      });
      const options = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("job", 1, options));
      await stage.until(() => stage.ledger.executionsOf(`${id}/long`) > 0);
      await worker.command((client) => client.cancelRun(id));
      const { status } = await stage.run(id);
      if (status !== "CANCELED" && stage.fired === undefined) throw new Error(`it is ${status}`);
      stage.ledger.note(status === "CANCELED" ? "canceled" : "ended before");
      await stage.ended(id);
    },
    check: (end) => {
      // A cancel that had to be sent again may come after the end.
      for (const run of end.of("job"))
        if (end.stage.ledger.noted("canceled") > 0) end.one(run, "CANCELED");
        else end.one(run, "COMPLETED", "too late");
    },
  },
  {
    name: "cancelRun that races the end",
    async script(stage) {
      const worker = await startedWorker(stage, async (io, p) => {
        for (const key of ["a", "b", "c"]) await p.task(io, key, () => key);
        return "done";
      });
      const options = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("job", 1, options));
      await stage.until(() => stage.ledger.executionsOf(`${id}/b`) >= 0);
      const { canceled } = await worker.command((client) => client.cancelRun(id));
      const { status } = await stage.run(id);
      if (status !== "CANCELED" && status !== "COMPLETED") throw new Error(`it is ${status}`);
      if (canceled && status !== "CANCELED") throw new Error("it says canceled");
      stage.ledger.note(status);
    },
    check: (end) => {
      const [run] = end.of("job");
      end.one(run, run?.status === "CANCELED" ? "CANCELED" : "COMPLETED");
      end.noted(run?.status ?? "", 1, 1);
    },
  },
  {
    name: "retryRun after a failure",
    maxParked: [1_000, 0],
    async script(stage) {
      let isRepaired = false;
      const worker = await startedWorker(stage, async (io, p) => {
        const kept = await p.task(io, "kept", () => "kept");
        await io.wait("pause", "1s");
        return p.task(io, "fails", () => {
          if (!isRepaired) throw new Error("broken");
          return `${kept} and repaired`;
        });
      });
      const options = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("job", 1, options));
      await stage.ended(id);
      if ((await stage.run(id)).status !== "FAILED") throw new Error("it did not fail");
      isRepaired = true;
      await worker.command(async (client) => {
        // Sent again, it may find the run on its way, or done.
        const { generation } = await stage.run(id);
        if (generation === 1) await client.retryRun(id);
      });
      await stage.ended(id);
    },
    executions: { fails: 2 },
    check: (end) => {
      end.count("job", 1, { exact: true });
      end.all("job", "COMPLETED", "kept and repaired");
    },
  },
  {
    name: "replayRun",
    async script(stage) {
      const worker = await startedWorker(stage, quick);
      const options = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("job", 1, options));
      await stage.ended(id);
      const replay = await worker.command((client) => client.replayRun(id));
      await stage.ended(replay.id);
    },
    check: (end) => {
      end.count("job", 2);
      end.all("job", "COMPLETED", "done");
    },
  },
];
