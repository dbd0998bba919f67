import { eventTrigger } from "pawl";
import { interruptionsOf } from "./faults.js";
import type { Host } from "./host.js";
import type { Process } from "./process.js";
import type { Scenario } from "./scenario.js";
import { job } from "./scenarios-client.js";
import type { Stage } from "./stage.js";

const only = { idempotencyKey: "only" };

/** A client with the job, and one that only knows its id. */
async function senderAndWorker(stage: Stage): Promise<{ sender: Host; worker: Host }> {
  const worker = stage.host("worker", {
    jobs: (process) => [
      job(process, (io, p) => p.task(io, "a", () => "done"), {
        concurrencyLimit: { limit: 1, key: () => "x" },
        tags: () => ["late"],
      }),
    ],
  });
  await worker.start();
  const sender = stage.host("sender");
  return { sender, worker };
}

async function invokeByStranger(stage: Stage): Promise<void> {
  const { sender } = await senderAndWorker(stage);
  const { id } = await sender.command((client) => client.invoke("job", 1, only));
  await stage.ended(id);
}

async function tellLateComer(stage: Stage): Promise<void> {
  const sender = stage.host("sender", {
    jobs: (process) => [job(process, async () => null, { id: "own" })],
  });
  // From here on the sender knows the registered jobs, and its own is the only one.
  await sender.command((client) => client.stats());
  const worker = stage.host("worker", {
    jobs: (process) => [
      job(process, (io, p) => p.task(io, "a", () => "heard"), {
        trigger: eventTrigger({ name: "news" }),
      }),
    ],
  });
  await worker.start();
  const send = () => sender.command((client) => client.sendEvent({ name: "news", id: "late" }));
  const { runIds } = await send();
  if (runIds.length !== 1) throw new Error("an event passed over a job that was registered before");
  await stage.ended(...runIds);
}

const admittedLate: Scenario["check"] = (end) => {
  end.count("job", 1, { exact: true });
  end.all("job", "COMPLETED", "done");
  for (const { tags, limitKeys } of end.of("job"))
    if (tags.join() !== "late" || limitKeys.length !== 1)
      throw new Error(`admitted with tags ${tags} and limits ${limitKeys}`);
};

const heardLate: Scenario["check"] = (end) => {
  end.count("job", 1, { exact: true });
  end.all("job", "COMPLETED", "heard");
};

/** A task of `taskMs` is under way when the client is stopped; another one goes on. */
function stopped(name: string, taskMs: number, timeout: string, slackMs: number): Scenario {
  return {
    name,
    slackMs,
    async script(stage) {
      const worker = stage.host("worker", {
        jobs: (process) => [
          job(process, async (io, p) => {
            await p.task(io, "long", () => stage.pause(taskMs));
            return p.task(io, "after", () => "done");
          }),
        ],
      });
      await worker.start();
      const { id } = await worker.command((client) => client.invoke("job", 1, only));
      await stage.until(() => stage.ledger.executionsOf(`${id}/long`) > 0);
      const other = stage.host("other", {
        jobs: (process) => [
          job(process, async (io, p) => {
            await p.task(io, "long", () => stage.pause(taskMs));
            return p.task(io, "after", () => "done");
          }),
        ],
      });
      await other.start();
      await worker.stop({ timeout });
      await stage.ended(id);
    },
    check: (end) => {
      end.count("job", 1, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
  };
}

export const lifecycleScenarios: readonly Scenario[] = [
  {
    name: "hooks",
    async script(stage) {
      const worker = stage.host("worker", {
        jobs: (process) => [
          job(process, (io, p) => p.task(io, "a", () => "done"), {
            onStart: () => process.note("start"),
            onSuccess: ({ output }) => process.note(`success ${output}`),
            onFailure: () => process.note("failure"),
          }),
        ],
      });
      await worker.start();
      const { id } = await worker.command((client) => client.invoke("job", 1, only));
      await stage.ended(id);
    },
    check: (end) => {
      const most = 1 + interruptionsOf(end.stage.fired?.kind);
      end.all("job", "COMPLETED", "done");
      end.noted("start", 1, most);
      end.noted("success done", 1, most);
      end.noted("failure", 0, 0);
    },
  },
  stopped("stop() while a task runs", 4_000, "10s", 10_000),
  stopped("stop() that waits longer than the lease", 70_000, "2m", 75_000),
  {
    name: "maxDuration",
    async script(stage) {
      const worker = stage.host("worker", {
        jobs: (process) => [
          job(
            process,
            async (io, p) => {
              await p.task(io, "a", () => null);
              await io.wait("long", "1m");
              return p.task(io, "never", () => "too late");
            },
            { maxDuration: "20s" },
          ),
        ],
      });
      await worker.start();
      const { id } = await worker.command((client) => client.invoke("job", 1, only));
      await stage.ended(id);
      await stage.pause(70_000);
    },
    check: (end) => {
      end.all("job", "TIMED_OUT");
      for (const run of end.of("job")) {
        end.error(run, "RUN_TIMED_OUT");
        if (end.stage.ledger.executionsOf(`${run.id}/never`) > 0)
          throw new Error("a task started after the time was over");
      }
    },
    slackMs: 20_000,
  },
  {
    name: "ttl of a run that nobody starts",
    async script(stage) {
      const stranger = stage.host("worker", {
        jobs: (process) => [job(process, async () => "other", { id: "other" })],
      });
      const owner = stage.host("owner", { jobs: (process) => [job(process, async () => "done")] });
      await stranger.start();
      const options = { ...only, ttl: "20s" };
      const { id } = await owner.command((client) => client.invoke("job", 1, options));
      await stage.ended(id);
    },
    check: (end) => {
      end.all("job", "CANCELED");
      for (const run of end.of("job")) end.error(run, "RUN_EXPIRED");
    },
    slackMs: 30_000,
  },
  {
    name: "a run that is there before its worker starts",
    async script(stage) {
      const jobs = (process: Process) => [job(process, (io, p) => p.task(io, "a", () => "done"))];
      const { id } = await stage
        .host("sender", { jobs })
        .command((client) => client.invoke("job", 1, only));
      // Nothing but this wakes the worker: a start that failed must be one that can be repeated.
      await stage.host("worker", { jobs }).start();
      await stage.ended(id);
    },
    check: (end) => {
      end.count("job", 1, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
  },
  { name: "late admission, the claimer", script: invokeByStranger, check: admittedLate },
  {
    name: "late admission, the sender",
    host: "sender",
    script: invokeByStranger,
    check: admittedLate,
  },
  {
    name: "a job registered beside a sender, the worker",
    script: tellLateComer,
    check: heardLate,
  },
  {
    name: "a job registered beside a sender, the sender",
    host: "sender",
    script: tellLateComer,
    check: heardLate,
  },
  {
    name: "parked frames that are evicted",
    maxParked: [1],
    async script(stage) {
      const worker = stage.host("worker", {
        jobs: (process) => [
          job(process, async (io, p) => {
            io.logger.info("one");
            io.logger.info("two");
            await p.task(io, "a", () => null);
            await io.wait("pause", "10s");
            io.logger.info("three");
            return p.task(io, "b", () => "done");
          }),
        ],
      });
      await worker.start();
      for (const idempotencyKey of ["x", "y", "z"])
        await worker.command((client) => client.invoke("job", 1, { idempotencyKey }));
      await stage.ended(...(await stage.runs()).map(({ id }) => id));
    },
    async check(end) {
      end.count("job", 3, { exact: true });
      end.all("job", "COMPLETED", "done");
      for (const run of end.of("job")) {
        const lines = await end.stage.observer.listLogs(run.id, { limit: 100 });
        const text = lines.map(({ message }) => message).join(", ");
        if (text !== "one, two, three") throw new Error(`log: ${text}`);
      }
    },
    slackMs: 10_000,
  },
  {
    name: "drain without start",
    async script(stage) {
      const worker = stage.host("worker", {
        jobs: (process) => [
          job(process, async (io, p) => {
            await p.task(io, "a", () => null);
            await io.wait("pause", "5s");
            return p.task(io, "b", () => "done");
          }),
        ],
      });
      await worker.command((client) => client.invoke("job", 1, only));
      for (;;) {
        await worker.command((client) => client.drain());
        if ((await stage.runs()).every(({ finishedAt }) => finishedAt !== null)) return;
        await stage.pause(2_500);
      }
    },
    check: (end) => {
      end.count("job", 1, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
    slackMs: 10_000,
  },
];
