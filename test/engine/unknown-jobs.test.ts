import { expect, test } from "vitest";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

const jobOf = (id: string) => defineJob({ id, trigger: invokeTrigger(), run: async () => id });

describeEngine("unknown jobs", (world) => {
  test("JOB_UNKNOWN names the id, the known jobs and what to do, and stores nothing", async () => {
    const client = world().client({ jobs: [jobOf("known")] });
    const error = await client.invoke("unknown").catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "JOB_UNKNOWN" });
    expect(String(error)).toMatch(/"unknown".*known.*Attach/s);
    expect(await codeOf(world().client().invoke(""))).toBe("JOB_UNKNOWN");
    expect((await client.getRuns()).runs).toEqual([]);
  });

  test("G26: a worker leaves runs of jobs that it does not know alone, and they show as queued", async () => {
    const owner = world().client({ jobs: [jobOf("a")] });
    const handle = await owner.invoke("a");
    const stranger = world().client({ jobs: [jobOf("b")] });
    await stranger.drain();
    expect(await stranger.getRun(handle)).toMatchObject({ status: "QUEUED", executionCount: 0 });
    await owner.drain();
    expect(await stranger.getRun(handle)).toMatchObject({ output: "a" });
  });

  test("G26: a parked run waits for a worker that has its job, however long", async () => {
    const job = defineJob({
      id: "a",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const owner = world().client({ jobs: [job] });
    const handle = await owner.invoke(job);
    await owner.drain();
    await owner.stop({ timeout: 0 });
    world().clock.advance("1000d");
    const stranger = world().client({ jobs: [jobOf("b")] });
    await stranger.drain();
    expect((await stranger.getRun(handle))?.status).toBe("QUEUED");
    const heir = world().client({ jobs: [job] });
    await heir.drain();
    expect((await heir.getRun(handle))?.status).toBe("COMPLETED");
  });

  test("G26: a client without jobs drains and starts without claiming anything", async () => {
    const owner = world().client({ jobs: [jobOf("a")] });
    const handle = await owner.invoke("a");
    const empty = world().client();
    await empty.start();
    await empty.drain();
    expect((await empty.getRun(handle))?.status).toBe("QUEUED");
  });
});
