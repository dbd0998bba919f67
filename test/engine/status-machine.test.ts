import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Client,
  defineJob,
  finalStatuses,
  invokeTrigger,
  type RunStatus,
  runStatuses,
  type Storage,
} from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { World } from "./world.js";

/** Trigger.dev's table (trigger-v2.md §6.2) in the statuses of api.md, as readers see them. */
const open: readonly RunStatus[] = ["PENDING", "QUEUED", "EXECUTING", "WAITING"];
const allowed: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  PENDING: [...open, ...finalStatuses],
  QUEUED: [...open.filter((status) => status !== "PENDING"), ...finalStatuses],
  EXECUTING: [...open.filter((status) => status !== "PENDING"), ...finalStatuses],
  WAITING: [...open.filter((status) => status !== "PENDING"), ...finalStatuses],
  WAITING_ON_CONNECTIONS: runStatuses,
  // Only `retryRun` leaves these; see below.
  FAILED: [],
  COMPLETED: [],
  CANCELED: [],
  TIMED_OUT: [],
  INVALID_PAYLOAD: [],
  UNRESOLVED_AUTH: [],
};

const payload = fc.record({
  steps: fc.array(fc.constantFrom("task", "wait", "yield", "retry", "child", "throw"), {
    maxLength: 5,
  }),
});

const command = fc.oneof(
  fc.record({
    do: fc.constant("invoke" as const),
    payload,
    delay: fc.constantFrom(0, 30, 120),
    ttl: fc.constantFrom(undefined, 60),
  }),
  fc.record({ do: fc.constant("drain" as const), client: fc.nat(1) }),
  fc.record({ do: fc.constant("advance" as const), seconds: fc.constantFrom(1, 20, 60, 600) }),
  fc.record({
    do: fc.constantFrom("cancel" as const, "retry" as const, "replay" as const),
    run: fc.nat(20),
    client: fc.nat(1),
  }),
);

function makeJob() {
  return defineJob({
    id: "j",
    trigger: invokeTrigger(),
    maxDuration: "5m",
    concurrencyLimit: 2,
    onFailure: () => {},
    run: async (given, io): Promise<void> => {
      for (const [index, step] of (given as { steps: string[] }).steps.entries()) {
        const key = [step, index];
        if (step === "task") await io.runTask(key, () => index);
        else if (step === "wait") await io.wait(key, 60);
        else if (step === "yield") await io.yield(key);
        else if (step === "child") await io.invokeAndWait(key, "j", { steps: ["wait"] });
        else if (step === "throw") throw new Error("thrown");
        else
          await io.runTask(
            key,
            ({ attempt }) => {
              if (attempt === 1) throw new Error("again");
            },
            { retry: { limit: 2, minTimeoutInMs: 10_000 } },
          );
      }
    },
  });
}

/** Follows every run and complains of a step that the table does not have. */
class Watcher {
  readonly #seen = new Map<string, { status: RunStatus; attempt: number }>();

  async look(client: Client): Promise<string[]> {
    const { runs } = await client.getRuns({ take: 1000 });
    for (const { id, status, attempt, finishedAt, error, output } of runs) {
      const before = this.#seen.get(id);
      this.#seen.set(id, { status, attempt });
      const isFinal = (finalStatuses as readonly string[]).includes(status);
      expect(finishedAt !== undefined, `${status} has an end`).toBe(isFinal);
      expect(error !== undefined, `${status} has an error`).toBe(isFinal && status !== "COMPLETED");
      if (status !== "COMPLETED") expect(output).toBeUndefined();
      if (before === undefined || before.status === status) continue;
      if (before.attempt < attempt) continue;
      expect(allowed[before.status], `${before.status} → ${status}`).toContain(status);
    }
    return runs.map((run) => run.id);
  }
}

test("R1: a run is read with one of eleven statuses, six of which are final", () => {
  const badEnds = ["FAILED", "CANCELED", "TIMED_OUT", "INVALID_PAYLOAD", "UNRESOLVED_AUTH"];
  const final = ["COMPLETED", ...badEnds];
  expect([...finalStatuses].sort()).toEqual([...final].sort());
  const all = [...open, "WAITING_ON_CONNECTIONS", ...final];
  expect([...runStatuses].sort()).toEqual(all.sort());
});

test("R2: random commands lead to transitions of the table only, and only retryRun leaves a final state", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
      const storage = memory();
      const world = new World(() => keptOpen(storage), commands.length % 2);
      const clients = [
        world.client({ jobs: [makeJob()] }),
        world.client({ jobs: [makeJob()] }),
      ] as const;
      clients.forEach((client) => void client.on("runFailed", () => {}));
      const watcher = new Watcher();
      let ids: string[] = [];
      for (const step of commands) {
        const client = clients["client" in step ? (step.client as 0 | 1) : 0];
        const id = "run" in step ? ids[step.run % Math.max(1, ids.length)] : undefined;
        if (step.do === "invoke") {
          await client.invoke("j", step.payload, {
            delay: step.delay,
            ...(step.ttl === undefined ? {} : { ttl: step.ttl }),
          });
        } else if (step.do === "drain") await client.drain();
        else if (step.do === "advance") world.clock.advance(step.seconds);
        else if (id !== undefined) await manage(client, step.do, id);
        ids = await watcher.look(clients[0]);
      }
      // Left to themselves, all runs end.
      for (let minute = 0; minute < 15; minute++) {
        await clients[minute % 2 === 0 ? 0 : 1].drain();
        await watcher.look(clients[0]);
        world.clock.advance("1m");
      }
      await clients[0].drain();
      const { runs } = await clients[0].stats();
      expect(Object.keys(runs).filter((status) => open.includes(status as RunStatus))).toEqual([]);
      await world.close();
    }),
    { numRuns: 60 },
  );
});

async function manage(client: Client, what: "cancel" | "retry" | "replay", id: string) {
  if (what === "cancel") await client.cancelRun(id);
  else if (what === "replay") await client.replayRun(id);
  else
    await client.retryRun(id).catch((error: { code?: string }) => {
      if (error.code !== "RUN_NOT_FINAL") throw error;
    });
}

function keptOpen(storage: Storage): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === "close") return async () => {};
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
