import { expect, test } from "vitest";
import { z } from "zod";
import type { RunWrite } from "../../src/core/storage.js";
import { createClient, eventTrigger, invokeTrigger, type Storage } from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { gate, jobOf, turns } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

type Answer = { readonly result: string; readonly reason?: string; readonly cause?: unknown };

/** Gives `answers` for the next elements of these calls, and asks the storage once there are none left. */
function answering(
  storage: Storage,
  method: "commit" | "createRuns",
  answers: (Answer | undefined)[],
): Storage {
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name !== method) return member.bind(target);
      return async (elements: readonly unknown[]) => {
        if (answers.length === 0) return member.call(target, elements);
        return elements.map(() => answers.shift());
      };
    },
  });
}

/** Refuses the writes that are meant. */
function refusing(storage: Storage, isMeant: (write: RunWrite) => boolean): Storage {
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name !== "commit") return member.bind(target);
      return async (writes: readonly RunWrite[]) => {
        const are = writes.map(isMeant);
        const taken = [...(await target.commit(writes.filter((_, index) => !are[index])))];
        return are.map((isRefused) => (isRefused ? refused : taken.shift()));
      };
    },
  });
}

const refused: Answer = { result: "rejected", reason: "disk full", cause: new Error("ENOSPC") };

describeEngine("a storage that refuses", (world) => {
  test("an invoke that the storage does not take rejects with its reason, and the next one works", async () => {
    const storage = answering(world().storage(), "createRuns", [refused]);
    const client = world().client({ storage, jobs: [jobOf(() => "done")] });
    await expect(client.invoke("job", {})).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("disk full. Nothing was stored"),
      cause: { message: "ENOSPC" },
    });
    const { id } = await client.invoke("job", {});
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ output: "done" });
    expect((await client.getRuns()).runs).toHaveLength(1);
  });

  test("an answer that no invoke can get is told as it is", async () => {
    const storage = answering(world().storage(), "createRuns", [{ result: "conflict" }]);
    const client = world().client({ storage, jobs: [jobOf(() => "done")] });
    await expect(client.invoke("job", {})).rejects.toThrow(/the answer was "conflict"/);
  });

  test("an event that the storage does not take is not sent", async () => {
    const storage = answering(world().storage(), "createRuns", [refused]);
    const client = world().client({
      storage,
      jobs: [jobOf(() => 1, { trigger: eventTrigger({ name: "e" }) })],
    });
    expect(await codeOf(client.sendEvent({ name: "e", id: "one" }))).toBe("STORAGE_FAILED");
    expect((await client.getRuns()).runs).toEqual([]);
    expect((await client.sendEvent({ name: "e", id: "one" })).runIds).toHaveLength(1);
  });

  test("a storage that was busy, or left an answer out, is asked again with the same element", async () => {
    const busy = [{ result: "busy" }, undefined];
    const storage = answering(answering(world().storage(), "createRuns", [...busy]), "commit", [
      ...busy,
    ]);
    let calls = 0;
    const client = world().client({
      storage,
      jobs: [jobOf((io) => io.runTask("t", () => ++calls))],
    });
    const { id } = await client.invoke("job", {});
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(calls).toBe(1);
    expect((await client.getRuns()).runs).toHaveLength(1);
  });

  test.for([
    ["with a reason", refused, "disk full"],
    ["without one", { result: "rejected" }, "no reason given"],
  ] as const)(
    "a record that is refused %s parks the run with it, and it is tried again later",
    async ([, answer, reason]) => {
      const answers: Answer[] = [];
      const storage = answering(world().storage(), "commit", answers);
      const client = world().client({
        storage,
        jobs: [
          jobOf(async (io) => {
            await io.wait("pause", "1h");
            await io.runTask("t", () => answers.push(...first.splice(0)));
            return "done";
          }),
        ],
      });
      const first: Answer[] = [answer];
      const { id } = await client.invoke("job", {});
      await client.drain();
      world().clock.advance("1h");
      await client.drain();
      expect(world().troubles).toContainEqual(expect.objectContaining({ code: "STORAGE_FAILED" }));
      expect(await client.explainRun(id)).toContain(`refused a write of run ${id}: ${reason}`);
      world().clock.advance("1h");
      await client.drain();
      expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: "done" });
    },
  );

  test.for([
    ["its admission", "admitted"],
    ["what a rule decides about it", "values"],
    ["its end", "finishedAt"],
  ] as const)(
    "a run is no suspect because the storage refuses %s: it is blocked, and tried again",
    async ([, part]) => {
      let left = 7;
      const storage = refusing(world().storage(), (write) => {
        return { ...write, ...write.run }[part] !== undefined && left-- > 0;
      });
      const trigger = invokeTrigger({ schema: part === "finishedAt" ? z.number() : z.string() });
      const job = jobOf(() => "done", { trigger, throttle: { limit: 1, period: "1s" } });
      const worker = world().client({ storage, jobs: [job] });
      await worker.drain();
      const told: string[] = [];
      worker.on("runBlocked", ({ error }) => told.push(error.message));
      const { id } = await world().client().invoke("job", "payload");
      for (let tries = 1; tries <= 7; tries++) {
        await worker.drain();
        expect(told).toHaveLength(tries);
        expect(await worker.getRun(id)).toMatchObject({ status: "PENDING", executionCount: 0 });
        expect(await worker.explainRun(id)).toContain("disk full");
        world().clock.advance("1h");
      }
      await worker.drain();
      const status = part === "finishedAt" ? "INVALID_PAYLOAD" : "COMPLETED";
      expect((await worker.getRun(id))?.status).toBe(status);
    },
  );

  test("a run that was blocked before its rules let it wait is not shown as blocked any more", async () => {
    let left = 0;
    const storage = refusing(world().storage(), ({ values }) => values !== undefined && left-- > 0);
    const job = jobOf(() => "done", { throttle: { limit: 1, period: "1d" } });
    const client = world().client({ storage, jobs: [job] });
    await client.invoke("job", 1);
    await client.drain();
    left = 1;
    const { id } = await client.invoke("job", 2);
    await client.drain();
    expect(await client.explainRun(id)).toContain("is blocked");
    world().clock.advance("1h");
    await client.drain();
    expect(await client.explainRun(id)).toContain("is throttled");
    expect((await client.getRun(id))?.error).toBeUndefined();
  });

  test("an end that is refused leaves the run to its next execution", async () => {
    const answers: Answer[] = [];
    const storage = answering(world().storage(), "commit", answers);
    let executions = 0;
    const client = world().client({
      storage,
      jobs: [
        jobOf(() => {
          if (++executions === 1) answers.push(refused);
          return "done";
        }),
      ],
    });
    const { id } = await client.invoke("job", {});
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("EXECUTING");
    expect(world().troubles).toContainEqual(expect.objectContaining({ code: "STORAGE_FAILED" }));
    world().clock.advance("31s");
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", executionCount: 2 });
  });
});

describeEngine("log lines and evicted runs", (world) => {
  test("a run whose frame was evicted writes no log line twice, however many it has", async () => {
    const storage = world().storage();
    const client = world().client({
      storage,
      maxParked: 1,
      jobs: [
        jobOf(async (io, _context, payload) => {
          if (payload === "logs") for (let n = 0; n < 1_100; n++) io.logger.info(`line ${n}`);
          await io.wait("hour", "1h");
          io.logger.info("after");
        }),
      ],
    });
    const { id } = await client.invoke("job", "logs");
    await client.drain();
    for (let n = 0; n < 3; n++) await client.invoke("job", "other");
    await client.drain();
    world().clock.advance("1h");
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("COMPLETED");
    const lines = await storage.listLogs(id, { limit: 2_000 });
    expect(lines.map(({ message }) => message)).toEqual([
      ...Array.from({ length: 1_100 }, (_, n) => `line ${n}`),
      "after",
    ]);
  });

  test("children of one parent are found among all runs of their job", async () => {
    const client = world().client({
      jobs: [jobOf((io) => io.invoke("call", "child", 1)), jobOf(() => 1, { id: "child" })],
    });
    const parents = [await client.invoke("job", 1), await client.invoke("job", 2)];
    await client.drain();
    const { runs } = await client.getRuns({ jobId: "child", parentId: parents[1]?.id ?? "" });
    expect(runs.map(({ parentId }) => parentId)).toEqual([parents[1]?.id]);
    expect((await client.getRuns({ jobId: "child" })).runs).toHaveLength(2);
  });

  test("a client that is stopped begins nothing new while it ends its subscription", async () => {
    const [ended, working] = [gate(), gate()];
    const begun: string[] = [];
    const storage = new Proxy(world().storage(), {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name === "subscribe") return async () => () => ended.opened;
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const job = jobOf(async (io) => {
      await io.runTask("first", async () => {
        begun.push("first");
        await working.opened;
      });
      await io.runTask("second", () => begun.push("second"));
    });
    const client = world().client({ storage, jobs: [job] });
    const { id } = await client.invoke("job");
    await client.start();
    await until(() => begun.length === 1);
    const stopping = client.stop();
    working.open();
    await turns();
    ended.open();
    await stopping;
    expect(begun).toEqual(["first"]);
    const heir = world().client({ jobs: [job] });
    await heir.drain();
    expect(begun).toEqual(["first", "second"]);
    expect(await heir.getRun(id)).toMatchObject({ status: "COMPLETED" });
  });

  test("a run that was being started as the client was stopped is given back, and not begun", async () => {
    const door = gate();
    let isAsked = false;
    let begun = 0;
    const storage = new Proxy(world().storage(), {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name !== "createRuns") return member.bind(target);
        return async (elements: Parameters<Storage["createRuns"]>[0]) => {
          const answer = await target.createRuns(elements);
          isAsked = elements[0]?.groups[0]?.first.lease !== undefined;
          if (isAsked) await door.opened;
          return answer;
        };
      },
    });
    const job = jobOf(() => {
      begun++;
    });
    const client = world().client({ storage, jobs: [job] });
    await client.start();
    await turns();
    const invoked = client.invoke("job");
    await until(() => isAsked);
    const stopping = client.stop();
    door.open();
    const [{ id }] = await Promise.all([invoked, stopping]);
    expect(begun).toBe(0);
    const heir = world().client({ jobs: [job] });
    await heir.drain();
    expect(begun).toBe(1);
    expect(await heir.getRun(id)).toMatchObject({ status: "COMPLETED" });
  });

  test("a client that is stopped while it starts subscribes to nothing", async () => {
    const door = gate();
    let open = 0;
    let asked = false;
    const storage = new Proxy(world().storage(), {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name === "subscribe") {
          return async () => {
            asked = true;
            await door.opened;
            open++;
            return async () => {
              open--;
            };
          };
        }
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const client = world().client({ storage, jobs: [jobOf(() => 1)] });
    const starting = client.start().catch(() => {});
    await until(() => asked);
    const stopping = client.stop({ timeout: 0 });
    door.open();
    await Promise.all([starting, stopping]);
    await until(() => open === 0);
    expect(open).toBe(0);
  });
});

test("trouble is a line on standard error if nobody asks for it, whatever was thrown", async () => {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    for (const thrown of [new Error("listener broke"), "just a text"]) {
      const client = createClient({ storage: memory() });
      const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => 1 });
      client.on("runSucceeded", () => {
        throw thrown;
      });
      await client.invoke(job);
      await client.drain();
      await client.stop();
    }
  } finally {
    console.error = error;
  }
  expect(lines.filter((line) => line.startsWith("pawl: "))).toEqual([
    expect.stringContaining("listener broke"),
    expect.stringContaining("just a text"),
  ]);
});
