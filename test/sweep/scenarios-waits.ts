import { eventTrigger, type Io } from "pawl";
import type { Host } from "./host.js";
import type { Process } from "./process.js";
import type { Scenario } from "./scenario.js";
import { job } from "./scenarios-client.js";
import type { Stage } from "./stage.js";

type Program = (io: Io, process: Process, runId: string) => Promise<unknown>;

const onlyOnce = { idempotencyKey: "only" };

/** A worker with one run of the program, and somebody else who may send. */
async function oneRun(
  stage: Stage,
  program: Program,
): Promise<{ worker: Host; sender: Host; id: string }> {
  const worker = stage.host("worker", { jobs: (process) => [job(process, program)] });
  const sender = stage.host("sender");
  stage.isAwaited = true;
  await worker.start();
  const { id } = await worker.command((client) => client.invoke("job", 1, onlyOnce));
  return { worker, sender, id };
}

const isParked = (stage: Stage, id: string) => async () =>
  (await stage.run(id)).status === "WAITING";

const waitsForNews: Program = async (io, p) => {
  await p.task(io, "before", () => null);
  const { payload } = await io.waitForEvent("news", { name: "news", filter: { n: [1] } });
  return p.task(io, "after", () => payload);
};

const news = { name: "news", id: "e", payload: { n: 1 } };

async function send(stage: Stage, sender: Host): Promise<void> {
  await sender.command((client) => client.sendEvent({ ...news, id: "other", payload: { n: 2 } }));
  await sender.command((client) => client.sendEvent(news));
  stage.isAwaited = false;
}

/** Waits for events and tokens: whichever call fails, what comes from outside is received once. */
const scenarios: readonly Scenario[] = [
  {
    name: "an event for a parked run",
    maxParked: [1_000, 0],
    async script(stage) {
      const { sender, id } = await oneRun(stage, waitsForNews);
      await stage.until(isParked(stage, id));
      await send(stage, sender);
      await stage.ended(id);
    },
    check: (end) => {
      end.count("$event", 2, { exact: true });
      end.all("job", "COMPLETED", { n: 1 });
    },
  },
  {
    name: "an event that races the wait",
    maxParked: [1_000, 0],
    async script(stage) {
      const { sender, id } = await oneRun(stage, waitsForNews);
      await send(stage, sender);
      await stage.ended(id);
    },
    check: (end) => end.all("job", "COMPLETED", { n: 1 }),
  },
  {
    name: "an event before the wait, and one after the other",
    async script(stage) {
      const { sender, id } = await oneRun(stage, async (io) => {
        await io.wait("busy", "5s");
        const first = await io.waitForEvent("first", { name: "news" });
        const second = await io.waitForEvent("second", { name: "news" });
        return [first.id, second.id];
      });
      await stage.until(isParked(stage, id));
      await sender.command((client) => client.sendEvent({ name: "news", id: "e1" }));
      await sender.command((client) => client.sendEvent({ name: "news", id: "e2" }));
      stage.isAwaited = false;
      await stage.ended(id);
    },
    check: (end) => end.all("job", "COMPLETED", ["e1", "e2"]),
  },
  {
    name: "a wait for an event that never comes",
    maxParked: [1_000, 0],
    async script(stage) {
      const { sender, id } = await oneRun(stage, async (io) => {
        try {
          await io.waitForEvent("news", { name: "news", filter: { n: [3] } }, { timeout: "20s" });
          return "came";
        } catch {
          return "never";
        }
      });
      await send(stage, sender);
      await stage.ended(id);
    },
    check: (end) => end.all("job", "COMPLETED", "never"),
    slackMs: 20_000,
  },
  {
    name: "a delayed event for a job and for a wait",
    async script(stage) {
      const worker = stage.host("worker", {
        jobs: (process) => [
          job(process, waitsForNews),
          job(process, (io, p) => p.task(io, "heard", () => "heard"), {
            id: "hears",
            trigger: eventTrigger({ name: "news" }),
          }),
        ],
      });
      stage.isAwaited = true;
      await worker.start();
      const { id } = await worker.command((client) => client.invoke("job", 1, onlyOnce));
      await worker.command((client) => client.sendEvent(news, { deliverAfter: "10s" }));
      stage.isAwaited = false;
      await stage.ended(id);
    },
    check: (end) => {
      end.count("hears", 1, { exact: true });
      end.all("hears", "COMPLETED", "heard");
      end.all("job", "COMPLETED", { n: 1 });
    },
    slackMs: 20_000,
  },
  {
    name: "a token that is completed while it is waited for, or before",
    maxParked: [1_000, 0],
    async script(stage) {
      const ids: string[] = [];
      const { sender, id } = await oneRun(stage, async (io) => {
        const early = await io.createToken("early");
        const late = await io.createToken("late");
        ids.splice(0, 2, early.id, late.id);
        await io.wait("busy", "5s");
        return [await io.waitForToken("first", early), await io.waitForToken("second", late)];
      });
      await stage.until(isParked(stage, id));
      await sender.command((client) => client.completeToken(ids[0] ?? "", "a"));
      await stage.until(async () => (await stage.run(id)).lastSeq > 3);
      await sender.command((client) => client.completeToken(ids[1] ?? "", "b"));
      stage.isAwaited = false;
      await stage.ended(id);
    },
    check: (end) => {
      end.count("$token", 2, { exact: true });
      end.all("job", "COMPLETED", ["a", "b"]);
    },
  },
  {
    name: "a token that expires",
    async script(stage) {
      const { id } = await oneRun(stage, async (io) => {
        const token = await io.createToken("token", { timeout: "10s" });
        return io.waitForToken("wait", token).catch(() => "expired");
      });
      stage.isAwaited = false;
      await stage.ended(id);
    },
    check: (end) => {
      end.all("$token", "TIMED_OUT");
      end.all("job", "COMPLETED", "expired");
    },
    slackMs: 20_000,
  },
];

/** Both sides are swept: who waits, and who sends. */
export const waitScenarios: readonly Scenario[] = scenarios.flatMap((scenario) =>
  /event for a parked|races|completed/.test(scenario.name)
    ? [scenario, { ...scenario, name: `${scenario.name} (sender)`, host: "sender" }]
    : [scenario],
);
