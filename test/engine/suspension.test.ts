import { expect, test } from "vitest";
import { gate, jobOf, runToEnd, start, turns } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("suspension", (world) => {
  test("I8: try/catch around a wait catches nothing, and the run stays parked", async () => {
    const caught: unknown[] = [];
    const run = await start(world(), async (io) => {
      try {
        await io.wait("w", "1h");
      } catch (error) {
        caught.push(error);
        return "swallowed";
      }
      return "waited";
    });
    expect((await run.drain()).status).toBe("WAITING");
    expect((await run.finish()).output).toBe("waited");
    expect(caught).toEqual([]);
  });

  test("I11: finally and catch-all helpers do not run because of a park", async () => {
    const ran: string[] = [];
    const swallow = async <T>(body: () => Promise<T>): Promise<T | "swallowed"> => {
      try {
        return await body();
      } catch {
        ran.push("catch");
        return "swallowed";
      } finally {
        ran.push("finally");
      }
    };
    const run = await start(world(), (io) =>
      swallow(() =>
        io.runTask("outer", (_task, inner) =>
          swallow(() => inner.wait("w", "1h").then(() => "ok")),
        ),
      ),
    );
    await run.drain();
    expect(ran).toEqual([]);
    expect((await run.finish()).output).toBe("ok");
    expect(ran).toEqual(["finally", "finally"]);
  });

  test("I8: a library that turns every rejection into a value cannot end a waiting run", async () => {
    const settle = async (promises: Promise<unknown>[]) =>
      (await Promise.allSettled(promises)).map((result) => result.status);
    const run = await runToEnd(world(), (io) =>
      settle([io.wait("w", "1h"), io.runTask("t", () => 1), io.invoke("i", "nobody has it", {})]),
    );
    expect(run.output).toEqual(["fulfilled", "fulfilled", "rejected"]);
  });

  test("I10: after a park nothing of the old execution goes on while the run is elsewhere", async () => {
    const executedBy: string[] = [];
    const make = (name: string) =>
      jobOf(async (io) => {
        await io.wait("one", "1h");
        executedBy.push(name);
        await io.wait("two", "1h");
        executedBy.push(name);
      });
    const a = world().client({ jobs: [make("a")] });
    const b = world().client({ jobs: [make("b")] });
    const { id } = await a.invoke("job", {});
    await a.drain();
    world().clock.advance("1h");
    await b.drain();
    world().clock.advance("1h");
    await b.drain();
    await a.drain();
    expect((await a.getRun(id))?.status).toBe("COMPLETED");
    expect(executedBy.every((name) => name === "b")).toBe(true);
  });

  test("an io call that user code makes by itself after the park takes the run back", async () => {
    const bell = gate();
    const run = await start(world(), async (io) => {
      await Promise.race([io.wait("hour", "1h"), bell.opened]);
      return io.runTask("answer", () => "woke");
    });
    await run.drain();
    bell.open();
    await turns();
    const ended = world().maxParked === 0 ? await run.finish() : await run.drain();
    expect(ended).toMatchObject({ status: "COMPLETED", output: "woke" });
  });

  test("context.signal of a dropped execution fires, so that what it started outside can stop", async () => {
    const signals: AbortSignal[] = [];
    const run = await start(world(), async (io, context) => {
      signals.push(context.signal);
      await io.wait("w", "1h");
    });
    await run.drain();
    expect(signals[0]?.aborted).toBe(world().maxParked === 0);
    await run.finish();
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });

  test("stop fires signals after its timeout; what a task makes of that is not recorded as its failure", async () => {
    const seen: string[] = [];
    const job = jobOf(async (io, context) => {
      const aborted = (signal: AbortSignal) =>
        new Promise<never>((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("aborted"))),
        );
      if (seen.length === 0) {
        await Promise.race([
          aborted(context.signal),
          io.runTask("work", (task) => {
            seen.push("first");
            return aborted(task.signal);
          }),
        ]);
      }
      return io.runTask("work", () => "second time");
    });
    const first = world().client({ jobs: [job] });
    const { id } = await first.invoke(job, {});
    void first.drain();
    await turns();
    const stopping = first.stop({ timeout: 5 });
    for (let step = 0; step < 10; step++) {
      await turns();
      world().clock.advance(1);
    }
    await stopping;
    const second = world().client({ jobs: [job] });
    await second.drain();
    expect(await second.getRun(id, { tasks: true })).toMatchObject({
      status: "COMPLETED",
      output: "second time",
      tasks: [{ status: "COMPLETED", attempts: [{ number: 1 }] }],
    });
  });
});
