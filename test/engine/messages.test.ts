import { describe, expect, test } from "vitest";
import { z } from "zod";
import { createClient, defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { jobOf, start } from "./drive.js";
import { thrownCode } from "./support.js";
import { describeEngine } from "./world.js";

const issuesOf = (count: number) => ({
  safeParse: () => ({
    success: false as const,
    error: {
      issues: Array.from({ length: count }, (_, n) => ({ path: [n], message: `bad ${n}` })),
    },
  }),
});

describeEngine("what errors and readers are told", (world) => {
  test.for([
    [0, /schema of job "strict"\.$/],
    [1, /schema of job "strict"\. 0: bad 0$/],
    [3, /schema of job "strict"\. 0: bad 0 \(and 2 more, see issues\)$/],
  ] as const)("a payload with %i issues", async ([count, message]) => {
    const client = world().client();
    const job = client.defineJob({
      id: "strict",
      trigger: invokeTrigger({ schema: issuesOf(count) }),
      run: async () => {},
    });
    await expect(client.invoke(job, {} as never)).rejects.toThrow(message);
  });

  test("the path of a payload that is wrong as a whole is called payload", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "strict",
      trigger: invokeTrigger({ schema: z.number() }),
      run: async () => {},
    });
    await expect(client.invoke(job, "x" as never)).rejects.toThrow(/"strict"\. payload: /);
  });

  test("tags that no text is, of a job whose sender has no code, fail the run and not the worker", async () => {
    const define = () =>
      defineJob({
        id: "tagged",
        trigger: invokeTrigger(),
        tags: () => [7] as never,
        run: async () => "ran",
      });
    const first = world().client({ jobs: [define()] });
    await first.drain();
    const sender = world().client();
    const { id } = await sender.invoke("tagged", {});
    first.on("runFailed", () => {});
    await first.drain();
    expect(await first.getRun(id)).toMatchObject({
      status: "FAILED",
      error: { code: "OPTION_INVALID" },
    });
    expect(world().troubles).toEqual([]);
  });

  test("a job's own maxDuration counts for a run that starts at once in the process that invokes it", async () => {
    const client = world().client({
      jobs: [jobOf((io) => io.wait("day", "1d"), { maxDuration: "1h" })],
    });
    client.on("runFailed", () => {});
    await client.start();
    await client.drain();
    const { id } = await client.invoke("job", {});
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("WAITING");
    world().clock.advance("1h");
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("TIMED_OUT");
  });

  test("a named parallel shows its name, without one its key", async () => {
    const run = await start(world(), async (io) => {
      await io.parallel("named", [1], (n) => n, { name: "All of them" });
      await io.parallel("plain", [1], (n) => n);
    });
    const { tasks = [] } = await run.drain();
    expect(tasks.map(({ key, name }) => [key, name])).toEqual([
      ["named", "All of them"],
      ["plain", undefined],
    ]);
  });

  test("with an asynchronous codec parseOutput gets the decoded output", async () => {
    const run = await start(
      world(),
      async (io) => {
        const sum = () =>
          io.runTask("n", () => 20, { parseOutput: (output) => (output as number) + 1 });
        const first = await sum();
        await io.wait("park", 1);
        return first;
      },
      {
        client: {
          codec: {
            encode: async (value) => JSON.stringify(value ?? null),
            decode: async (text) => JSON.parse(text),
          },
        },
      },
    );
    expect((await run.finish()).output).toBe(21);
  });

  test("params that are no JSON are shown as such and fail nothing", async () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const run = await start(world(), async (io) => {
      await io.runTask("function", () => 1, { params: () => {} });
      await io.runTask("cycle", () => 1, { params: cycle });
    });
    const { status, tasks = [] } = await run.drain();
    expect(status).toBe("COMPLETED");
    expect(tasks.map(({ params }) => params)).toEqual([null, "not shown: no JSON"]);
  });

  test("an event that nobody hears is told once, with its source if that is its own", async () => {
    const lines: string[] = [];
    const { error } = console;
    console.error = (line: string) => lines.push(line);
    try {
      const client = world().client();
      for (let n = 0; n < 2; n++) await client.sendEvent({ name: "odd", source: "shop" });
    } finally {
      console.error = error;
    }
    expect(lines.filter((line) => line.includes('"odd" from source "shop"'))).toHaveLength(1);
  });
});

describe("a client that cannot work", () => {
  test.for([
    ["jobs that are no list", { jobs: {} }, "OPTION_INVALID"],
    ["a storage of null", { storage: null }, "STORAGE_INVALID"],
    ["a storage of another contract", { storage: otherContract() }, "STORAGE_INVALID"],
  ] as const)("with %s throws where it is made", ([, options, code]) => {
    expect(thrownCode(() => createClient(options as never))).toBe(code);
  });

  test("a limit of null throws where the job is defined", () => {
    const options = { id: "j", trigger: eventTrigger({ name: "e" }), run: async () => {} };
    expect(thrownCode(() => defineJob({ ...options, concurrencyLimit: null as never }))).toBe(
      "OPTION_INVALID",
    );
  });
});

function otherContract() {
  return new Proxy(memory(), {
    get: (target, name) => (name === "specVersion" ? 99 : Reflect.get(target, name)),
  });
}
