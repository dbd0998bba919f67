import { expect, test } from "vitest";
import { type Client, eventTrigger } from "../../src/index.js";
import { jobOf, start } from "./drive.js";
import { codeOf, thrownCode } from "./support.js";
import { describeEngine } from "./world.js";

const wrongRuns: readonly unknown[] = [undefined, null, 7, {}, { id: 7 }];

const callsOnRuns: Readonly<Record<string, (client: Client, run: never) => Promise<unknown>>> = {
  getRun: (client, run) => client.getRun(run),
  getRunStatuses: (client, run) => client.getRunStatuses(run),
  waitForRun: (client, run) => client.waitForRun(run),
  cancelRun: (client, run) => client.cancelRun(run),
  retryRun: (client, run) => client.retryRun(run),
  replayRun: (client, run) => client.replayRun(run),
  explainRun: (client, run) => client.explainRun(run),
};

describeEngine("bad input of calls", (world) => {
  test.for(Object.entries(callsOnRuns))("%s of what names no run is refused", async ([, call]) => {
    const client = world().client();
    const codes = await Promise.all(wrongRuns.map((run) => codeOf(call(client, run as never))));
    expect(codes).toEqual(wrongRuns.map(() => "OPTION_INVALID"));
  });

  test.for(["cancelRunsForEvent", "cancelRunsForJob"] as const)(
    "%s of nothing is refused, and cancels nothing",
    async (name) => {
      const run = await start(world(), (io) => io.wait("w", "1d"));
      await run.drain();
      for (const none of [undefined, null, "", 7])
        expect(await codeOf(run.client[name](none as never))).toMatch(
          /^(OPTION_INVALID|JOB_ID_INVALID)$/,
        );
      expect((await run.read()).status).toBe("WAITING");
    },
  );

  test.for([
    ["a job that is no text", { jobId: 5 }],
    ["a list of what is no text", { jobId: ["j", 5] }],
    ["a status that is no text", { status: 5 }],
    ["a tag that is no text", { tag: 5 }],
    ["an event that is no text", { eventId: null }],
    ["a parent that is no text", { parentId: {} }],
    ["a cursor of something else", { cursor: "nonsense" }],
    ["a cursor that is no text", { cursor: 5 }],
  ] as const)("getRuns with %s is refused", async ([, filter]) => {
    expect(
      await codeOf(
        world()
          .client()
          .getRuns(filter as never),
      ),
    ).toBe("OPTION_INVALID");
  });

  test("a listener that is no function is refused", () => {
    const client = world().client();
    expect(thrownCode(() => client.on("runFailed", "log" as never))).toBe("OPTION_INVALID");
  });

  test("options of a task that would do nothing, or fail later, are refused by the call", async () => {
    const run = await start(world(), (io) =>
      Promise.all([
        codeOf(io.runTask("timeout", () => 1, { timeout: 0 })),
        codeOf(io.runTask("parse", () => 1, { parseOutput: 5 as never })),
        codeOf(io.runTask("onError", () => 1, {}, 5 as never)),
        codeOf(io.runTask("onError alone", () => 1, undefined, 5 as never)),
      ]),
    );
    const { output, tasks } = await run.drain();
    expect(output).toEqual(Array.from({ length: 4 }, () => "OPTION_INVALID"));
    expect(tasks).toEqual([]);
  });

  test("events and tokens are no runs: reads do not show them, and nobody cancels them as such", async () => {
    const client = world().client();
    const heard: unknown[] = [];
    client.defineJob({
      id: "hears",
      trigger: eventTrigger({ name: "e" }),
      run: async (payload) => {
        heard.push(payload);
      },
    });
    const token = await client.createToken();
    await client.sendEvent({ name: "e", id: "later", payload: 1 }, { deliverAfter: 60 });
    const names = [token.id, "$event/later"];
    for (const id of names) {
      expect(await client.getRun(id)).toBeUndefined();
      expect(await client.getRunStatuses(id)).toBeUndefined();
      expect(await client.explainRun(id)).toBeUndefined();
      for (const call of ["waitForRun", "cancelRun", "retryRun", "replayRun"] as const)
        expect([id, call, await codeOf(client[call](id))]).toEqual([id, call, "RUN_NOT_FOUND"]);
    }
    expect(await client.completeToken(token, "yes")).toMatchObject({ completed: true });
    expect(await codeOf(client.cancelRun(token.id))).toBe("RUN_NOT_FOUND");
    world().clock.advance(60);
    await client.drain();
    expect(heard).toEqual([1]);
  });

  test("a client that has a job starts runs of it, also if it was asleep for longer than a job is remembered", async () => {
    const client = world().client();
    client.defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: async () => "ran" });
    await client.drain();
    world().clock.advance("40d");
    const { runIds } = await client.sendEvent({ name: "e", id: "morning" });
    expect(runIds).toHaveLength(1);
    await client.drain();
    expect((await client.getRun(runIds[0] ?? ""))?.output).toBe("ran");
  });

  test("a year that no id can name stops nothing", async () => {
    const run = await start(world(), (io) => io.wait("for ever", new Date(8e15)));
    await run.drain();
    world().clock.advance({ milliseconds: 8e15 - world().clock.now() });
    const later = world().client({ jobs: [jobOf(async () => "late", { id: "late" })] });
    const handle = await later.invoke("late", {});
    await later.drain();
    expect((await later.getRun(handle))?.output).toBe("late");
  });
});
