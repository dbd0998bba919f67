import { expect, test } from "vitest";
import { defineJob, eventTrigger, type InvokeResult, invokeTrigger } from "../../src/index.js";
import { gate, Machine, takeTurns, turns } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("cancelRun", (world) => {
  test("C6: a run that waits, is queued or is delayed ends at once and never goes on", async () => {
    const client = world().client();
    const calls: unknown[] = [];
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (payload, io) => {
        await io.wait("day", "1d");
        calls.push(payload);
      },
    });
    const waiting = await client.invoke(job, "waiting");
    await client.drain();
    const queued = await client.invoke(job, "queued");
    const delayed = await client.invoke(job, "delayed", { delay: "1h" });
    for (const run of [waiting, queued, delayed]) {
      expect(await client.cancelRun(run)).toEqual({ canceled: true });
      expect(await client.getRun(run)).toMatchObject({
        status: "CANCELED",
        error: { code: "RUN_CANCELED" },
        finishedAt: new Date(world().clock.now()),
      });
    }
    expect((await client.getRun(waiting, { tasks: true }))?.tasks).toMatchObject([
      { key: "day", status: "CANCELED" },
    ]);
    world().clock.advance("2d");
    await client.drain();
    expect(calls).toEqual([]);
  });

  test("G23: a run that executes gets its signal, records nothing more and starts nothing more", async () => {
    const client = world().client();
    const door = gate();
    const done: string[] = [];
    const signals: AbortSignal[] = [];
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io, context) => {
        signals.push(context.signal);
        await io.runTask("first", async (task) => {
          signals.push(task.signal);
          await door.opened;
          done.push("first");
        });
        await io.runTask("second", () => done.push("second"));
      },
    });
    const handle = await client.invoke(job);
    const draining = client.drain();
    await until(() => signals.length === 2);
    expect(await client.cancelRun(handle)).toEqual({ canceled: true });
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
    expect(signals[0]?.reason).toMatchObject({ code: "RUN_CANCELED" });
    door.open();
    await draining;
    await turns();
    expect(done).toEqual(["first"]);
    const run = await client.getRun(handle, { tasks: true });
    expect(run?.status).toBe("CANCELED");
    expect(run?.tasks?.some((task) => task.status === "COMPLETED") ?? false).toBe(false);
  });

  test("G23: a holder elsewhere learns of it at its next commit, and nothing of it is recorded", async () => {
    const door = gate();
    const done: string[] = [];
    let aborted = false;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io, { signal }) => {
        signal.addEventListener("abort", () => {
          aborted = true;
        });
        await io.runTask("first", () => door.opened);
        done.push("went on");
      },
    });
    const holder = world().client({ jobs: [job] });
    const other = world().client();
    const handle = await holder.invoke(job);
    const draining = holder.drain();
    await until(async () => (await other.getRun(handle))?.status === "EXECUTING");
    await other.cancelRun(handle);
    door.open();
    await draining;
    expect(done).toEqual([]);
    expect(aborted).toBe(true);
    expect((await other.getRun(handle))?.status).toBe("CANCELED");
  });

  test("G23: a holder elsewhere that commits nothing learns of it by its heartbeat", async () => {
    let aborted: unknown;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) =>
        io.runTask(
          "t",
          (task) =>
            new Promise((resolve) => {
              task.signal.addEventListener("abort", () => {
                aborted = task.signal.reason;
                resolve("gone");
              });
            }),
        ),
    });
    const holder = world().client({ jobs: [job] });
    const other = world().client();
    const handle = await holder.invoke(job);
    const draining = holder.drain();
    await until(async () => (await other.getRun(handle))?.status === "EXECUTING");
    await turns();
    await other.cancelRun(handle);
    for (let step = 0; step < 6; step++) {
      world().clock.advance("5s");
      await turns();
    }
    expect(aborted).toMatchObject({ code: "RUN_CANCELED" });
    await draining;
  });

  test("G23: a run that had ended stays as it is, and the caller is told so", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "out" });
    const handle = await client.invoke(job);
    await client.drain();
    expect(await client.cancelRun(handle)).toEqual({ canceled: false });
    expect(await client.getRun(handle)).toMatchObject({ status: "COMPLETED", output: "out" });
    expect(await codeOf(client.cancelRun("nobody"))).toBe("RUN_NOT_FOUND");
  });

  test("G23: of many cancels and the end of the run itself exactly one wins, and the answers agree", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.runTask("t", () => "out"),
    });
    const others = [world().client(), world().client()];
    for (let round = 0; round < 20; round++) {
      const handle = await client.invoke(job);
      const draining = client.drain();
      await takeTurns(round % 10);
      const answers = await Promise.all(
        [client, ...others].map((canceller) => canceller.cancelRun(handle)),
      );
      await draining;
      const run = await client.getRun(handle);
      const wins = answers.filter(({ canceled }) => canceled).length;
      expect(wins).toBe(run?.status === "CANCELED" ? 1 : 0);
      expect(["CANCELED", "COMPLETED"]).toContain(run?.status);
    }
  });

  test("C6: a parent that waits is told, and gets the cancel as a value", async () => {
    const client = world().client();
    client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io): Promise<unknown> => {
        const result: InvokeResult = await io.invokeAndWait("c", "child", {});
        return result.ok || [result.run.status, (result.error as { code?: string }).code];
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    const [child] = (await client.getRuns({ jobId: "child" })).runs;
    await world()
      .client()
      .cancelRun(child?.id ?? "");
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual(["CANCELED", "RUN_CANCELED"]);
  });

  test("C6: a cancelled parent leaves its children alone, and their ends wake nobody", async () => {
    const client = world().client();
    client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.invokeAndWait("c", "child", {}),
    });
    const handle = await client.invoke(parent);
    await client.drain();
    await client.cancelRun(handle);
    world().clock.advance("1d");
    await client.drain();
    const [child] = (await client.getRuns({ jobId: "child" })).runs;
    expect(child?.status).toBe("COMPLETED");
    expect((await client.getRun(handle))?.status).toBe("CANCELED");
  });

  test("C6: a blocked run can be cancelled", async () => {
    let first = true;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        if (first) await io.runTask("key", () => 1);
        else await io.wait("key", "1d");
        await io.wait("day", "1d");
      },
    });
    const client = world().client({ jobs: [job] });
    const handle = await client.invoke(job);
    await client.drain();
    first = false;
    const other = world().client({ jobs: [job] });
    world().clock.advance("1d");
    await other.drain();
    await other.cancelRun(handle);
    world().clock.advance("1d");
    await other.drain();
    expect(await other.getRun(handle)).toMatchObject({
      status: "CANCELED",
      error: { code: "RUN_CANCELED" },
    });
  });

  test("C6: a run of a process that died can be cancelled, and is taken over by nobody", async () => {
    let starts = 0;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) =>
        io.runTask("t", () => {
          starts++;
          return new Promise(() => {});
        }),
    });
    const doomed = new Machine(world(), { jobs: [job] });
    const handle = await doomed.client.invoke("j");
    void doomed.client.drain();
    await until(() => starts === 1);
    doomed.freeze();
    const heir = world().client({ jobs: [job] });
    await heir.cancelRun(handle);
    world().clock.advance("1h");
    await heir.drain();
    expect(starts).toBe(1);
    expect((await heir.getRun(handle))?.status).toBe("CANCELED");
  });

  test("C7: cancelRunsForJob and cancelRunsForEvent cover every open run and name both kinds", async () => {
    const client = world().client();
    const run = async (
      payload: unknown,
      io: { wait(key: string, when: string): Promise<void> },
    ) => {
      if (payload !== "quick") await io.wait("day", "1d");
    };
    client.defineJob({ id: "a", trigger: eventTrigger({ name: "e" }), run });
    client.defineJob({ id: "b", trigger: eventTrigger({ name: "e" }), run });
    const event = await client.sendEvent({ name: "e", id: "ev" });
    const waiting = await client.invoke("a", "slow");
    await client.drain();
    const quick = await client.invoke("a", "quick");
    const forEvent = await client.cancelRunsForEvent("ev");
    expect([...forEvent.canceledRunIds].sort()).toEqual([...event.runIds].sort());
    const forJob = await client.cancelRunsForJob("a");
    expect([...forJob.canceledRunIds].sort()).toEqual([quick.id, waiting.id].sort());
    expect(forJob.finishedRunIds).toEqual([]);
    expect(await client.cancelRunsForJob("nobody")).toEqual({
      canceledRunIds: [],
      finishedRunIds: [],
    });
  });

  test("C7: more runs than one page holds are all cancelled", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    await Promise.all(Array.from({ length: 450 }, () => client.invoke(job, 1, { delay: "1h" })));
    expect((await client.cancelRunsForJob("j")).canceledRunIds).toHaveLength(450);
    expect((await client.stats()).runs).toEqual({ CANCELED: 450 });
  });
});
