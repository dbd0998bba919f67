import { TaskInterruptedError } from "pawl";
import { expect, test } from "vitest";
import { gate, jobOf, Machine, runToEnd, start, turns } from "./drive.js";
import { describeEngine } from "./world.js";

const once = { mode: "at-most-once" } as const;

describeEngine("at-most-once tasks", (world) => {
  test("G10: an attempt that a crash interrupted is never made again, and rejects with TaskInterruptedError", async () => {
    let calls = 0;
    const seen: unknown[] = [];
    let machine: Machine | undefined;
    const job = jobOf(async (io) => {
      try {
        await io.runTask(
          "charge",
          () => {
            calls++;
            machine?.freeze();
          },
          once,
        );
      } catch (error) {
        seen.push(error instanceof TaskInterruptedError, (error as TaskInterruptedError).code);
      }
      await io.wait("park", 60);
      return "looked into it";
    });
    machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    void machine.client.drain();
    await expect.poll(() => calls).toBe(1);
    const survivor = world().client({ jobs: [job] });
    world().clock.advance("31s");
    await survivor.drain();
    world().clock.advance("60s");
    await survivor.drain();
    expect(await survivor.getRun(id)).toMatchObject({
      status: "COMPLETED",
      output: "looked into it",
    });
    expect(calls).toBe(1);
    expect(seen.slice(-2)).toEqual([true, "TASK_INTERRUPTED"]);
  });

  test("G10: a crash before the start mark is durable starts it once, in the next execution", async () => {
    let calls = 0;
    const job = jobOf((io) => io.runTask("charge", () => ++calls, once));
    const machine = new Machine(world(), { jobs: [job] });
    machine.dieAtCommit(1);
    const { id } = await machine.client.invoke(job, {});
    void machine.client.drain();
    await turns();
    const survivor = world().client({ jobs: [job] });
    world().clock.advance("31s");
    await survivor.drain();
    expect(await survivor.getRun(id)).toMatchObject({ status: "COMPLETED", output: 1 });
  });

  test("G10: a start that is on record, and did not come about because the worker stopped, is no interruption", async () => {
    let calls = 0;
    const call = () => {
      calls++;
      return "done";
    };
    const job = jobOf((io) => io.runTask("once", call, { mode: "at-most-once" }));
    const machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    machine.freezeAfter("commit");
    void machine.client.drain();
    await turns(100);
    expect(machine.isFrozen).toBe(true);
    const stopping = machine.client.stop();
    await turns(100);
    machine.thaw();
    await stopping;
    expect(calls).toBe(0);
    const next = world().client({ jobs: [job] });
    await next.drain();
    expect(await next.getRun(id)).toMatchObject({ status: "COMPLETED", output: "done" });
    expect(calls).toBe(1);
  });

  test("G10: a retried parent does not make the interrupted child again", async () => {
    let calls = 0;
    let machine: Machine | undefined;
    const job = jobOf((io) =>
      io.runTask(
        "parent",
        (_task, inner) =>
          inner.runTask(
            "charge",
            () => {
              calls++;
              machine?.freeze();
            },
            once,
          ),
        { retry: { limit: 3 } },
      ),
    );
    machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    void machine.client.drain();
    await expect.poll(() => calls).toBe(1);
    const survivor = world().client({ jobs: [job] });
    survivor.on("runFailed", () => {});
    for (let step = 0; step < 5; step++) {
      world().clock.advance("31s");
      await survivor.drain();
    }
    expect(await survivor.getRun(id)).toMatchObject({
      status: "FAILED",
      error: { code: "TASK_INTERRUPTED" },
    });
    expect(calls).toBe(1);
    // A person has looked and says go on.
    await survivor.retryRun(id);
    machine = undefined;
    await survivor.drain();
    expect((await survivor.getRun(id))?.status).toBe("COMPLETED");
    expect(calls).toBe(2);
  });

  test("an attempt that fails by itself is known to have ended, and retry applies", async () => {
    const attempts: number[] = [];
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "flaky",
        (task) => {
          attempts.push(task.attempt);
          if (task.attempt < 3) throw new Error("no");
          return "ok";
        },
        { ...once, retry: { limit: 3 } },
      ),
    );
    expect(run.output).toBe("ok");
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("io calls inside are refused: the task would never run again to get past them", async () => {
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "outer",
        async (_task, inner) => {
          const code = (error: { code: string }) => error.code;
          return [
            await inner.runTask("x", () => 1).catch(code),
            await inner.wait("w", 1).catch(code),
            await io.wait("by context", 1).catch(code),
          ];
        },
        once,
      ),
    );
    expect(run.output).toEqual(Array(3).fill("NESTED_CALL_FORBIDDEN"));
  });

  test("stop lets it finish and records it; the next client goes on after it", async () => {
    const busy = gate();
    let calls = 0;
    const job = jobOf(async (io) => {
      const value = await io.runTask(
        "charge",
        async () => {
          calls++;
          await busy.opened;
          return calls;
        },
        once,
      );
      return io.runTask("after", () => `after ${value}`);
    });
    const run = await start(world(), async () => {}, {
      job: { id: "other" },
      client: { jobs: [job] },
    });
    const { id } = await run.client.invoke("job", {});
    void run.client.drain();
    await turns();
    const stopping = run.client.stop({ timeout: 10 });
    await turns();
    busy.open();
    await stopping;
    const next = world().client({ jobs: [job] });
    await next.drain();
    expect(await next.getRun(id)).toMatchObject({ status: "COMPLETED", output: "after 1" });
  });
});
