import { expect, test } from "vitest";
import { gate, jobOf, Machine, runToEnd, start, turns } from "./drive.js";
import { describeEngine } from "./world.js";

const limited = { client: { executionLimitMs: 10_000 } };

describeEngine("executionLimitMs", (world) => {
  test("a run of fifty tasks of a fifth of the limit each finishes in ten or more executions, no task twice", async () => {
    const calls: number[] = [];
    const run = await runToEnd(
      world(),
      async (io) => {
        for (let index = 0; index < 50; index++) {
          await io.runTask(["t", index], () => {
            calls.push(index);
            world().clock.advance(2);
          });
        }
        return "done";
      },
      limited,
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: "done" });
    expect(run.executionCount).toBeGreaterThanOrEqual(10);
    expect(calls).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  test("a task that takes longer than the limit is left behind, its signal fires, and that is no failure of it", async () => {
    let calls = 0;
    const run = await start(
      world(),
      (io) =>
        io.runTask("slow", async (task) => {
          if (++calls === 3) return "third";
          return new Promise<string>((_, reject) => task.signal.addEventListener("abort", reject));
        }),
      limited,
    );
    for (let step = 0; step < 2; step++) {
      const draining = run.client.drain();
      await turns();
      world().clock.advance(10);
      await Promise.race([draining, turns(200)]);
    }
    const ended = await run.finish();
    expect(ended).toMatchObject({ status: "COMPLETED", output: "third" });
    expect(ended.tasks?.[0]?.attempts.length).toBe(1);
  });

  test("R6: five executions in a row that reach the limit and record nothing end as TIMED_OUT, naming the task", async () => {
    const run = await start(
      world(),
      async (io) => {
        await io.runTask("fine", () => 1);
        await io.runTask("hangs", () => new Promise(() => {}));
      },
      limited,
    );
    void run.client.drain();
    for (let step = 0; step < 12; step++) {
      await turns(100);
      world().clock.advance(10);
    }
    await turns(100);
    const ended = await run.read();
    expect(ended).toMatchObject({ status: "TIMED_OUT", error: { code: "RUN_STALLED" } });
    expect(ended.error?.message).toContain('"hangs"');
    // The first one recorded "fine"; five more did nothing.
    expect(ended.executionCount).toBe(6);
  });

  test("C9: a run that was given up, and is retried, has all its executions without progress anew", async () => {
    let hangs = true;
    const run = await start(
      world(),
      (io) => io.runTask("hangs", () => (hangs ? new Promise(() => {}) : "done")),
      limited,
    );
    void run.client.drain();
    for (let step = 0; step < 12; step++) {
      await turns(100);
      world().clock.advance(10);
    }
    await turns(100);
    expect((await run.read()).status).toBe("TIMED_OUT");
    hangs = false;
    await run.client.retryRun(run.id);
    expect(await run.drain()).toMatchObject({ status: "COMPLETED", output: "done" });
  });

  test("R9, G16: executions that die without a record end as TIMED_OUT, naming the open task", async () => {
    let deaths = 0;
    let machine: Machine | undefined;
    const job = jobOf(
      async (io) => {
        await io.runTask("fine", () => 1);
        await io.runTask("kills", () => {
          deaths++;
          machine?.freeze();
          return new Promise(() => {});
        });
      },
      { maxExecutionsWithoutProgress: 3 },
    );
    const reader = world().client();
    machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    for (let step = 0; step < 8; step++) {
      machine = new Machine(world(), { jobs: [job] });
      machine.client.on("runFailed", () => {});
      void machine.client.drain();
      await turns(300);
      world().clock.advance("31s");
    }
    const run = await reader.getRun(id);
    expect(run).toMatchObject({ status: "TIMED_OUT", error: { code: "RUN_STALLED" } });
    expect(run?.error?.message).toContain('"kills"');
    // The first one recorded "fine"; three more did nothing.
    expect(deaths).toBe(4);
  });

  test("G16: a run that records something between any two deaths survives them all", async () => {
    const calls: number[] = [];
    let machine: Machine | undefined;
    const job = jobOf(async (io) => {
      for (let index = 0; index < 20; index++)
        await io.runTask(["t", index], () => {
          calls.push(index);
        });
      return "through";
    });
    const reader = world().client();
    machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    for (let step = 0; step < 25; step++) {
      machine = new Machine(world(), { jobs: [job] });
      machine.dieAtCommit(2);
      void machine.client.drain();
      await turns(100);
      world().clock.advance("31s");
    }
    expect(await reader.getRun(id)).toMatchObject({ status: "COMPLETED", output: "through" });
    // One task was in flight at each death.
    expect(calls.length).toBeLessThanOrEqual(41);
  });

  test("waits beside a task that is left behind keep their instants", async () => {
    const hold = gate();
    const begin = world().clock.now();
    const run = await start(
      world(),
      async (io) => {
        await Promise.all([io.wait("w", 15), io.runTask("busy", () => hold.opened)]);
        return io.runTask("at", () => world().clock.now() - begin);
      },
      limited,
    );
    void run.client.drain();
    await turns(100);
    world().clock.advance(10);
    hold.open();
    await turns(100);
    expect((await run.finish()).output).toBe(15_000);
  });
});
