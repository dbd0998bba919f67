import { expect, test } from "vitest";
import type { RunWrite } from "../../src/core/storage.js";
import { gate, jobOf, Machine, runToEnd, start, turns } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("waits", (world) => {
  test("I1: a wait parks the run, ends at its instant and not a millisecond before", async () => {
    const run = await start(world(), (io) => io.wait("day", "1d"));
    const due = new Date(world().clock.now() + 86_400_000);
    expect(await run.drain()).toMatchObject({ status: "WAITING", availableAt: due });
    world().clock.advance({ milliseconds: 86_399_999 });
    expect((await run.drain()).status).toBe("WAITING");
    world().clock.advance({ milliseconds: 1 });
    expect((await run.drain()).status).toBe("COMPLETED");
  });

  test("I1, I2: one millisecond, years, an object, a Date, zero and the past", async () => {
    const begin = world().clock.now();
    const times: number[] = [];
    const run = await runToEnd(world(), async (io) => {
      const waits = [
        { milliseconds: 1 },
        "90s",
        { hours: 2, minutes: 30 },
        new Date(begin + 20_000_000),
        0,
        -5,
        new Date(0),
        "3650d",
      ];
      for (const [index, when] of waits.entries()) {
        await io.wait(["w", index], when);
        times.push(await io.runTask(["at", index], () => world().clock.now() - begin));
      }
      return Promise.all(waits.map((_, index) => times[index]));
    });
    const first = 1 + 90_000 + 9_000_000;
    expect(run.status).toBe("COMPLETED");
    expect(times.slice(-8)).toEqual([
      1,
      90_001,
      first,
      20_000_000,
      20_000_000,
      20_000_000,
      20_000_000,
      20_000_000 + 3650 * 86_400_000,
    ]);
  });

  test("I1: that a wait is over is recorded with what its code does next, if no other call is open", async () => {
    const writes: string[] = [];
    const storage = new Proxy(world().storage(), {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name !== "commit") return member.bind(target);
        return (elements: readonly RunWrite[]) => {
          for (const { tasks = [], run } of elements)
            writes.push(
              [...tasks.map(({ path, status }) => `${path} ${status}`), run?.status].join(),
            );
          return target.commit(elements);
        };
      },
    });
    const job = jobOf(async (io) => {
      await io.wait("first", 1);
      await io.wait("second", 1);
      await Promise.all([io.wait("both", 1), io.wait("of", 1)]);
      await io.wait("last", 1);
      return "done";
    });
    const client = world().client({ storage, jobs: [job] });
    const { id } = await client.invoke("job");
    for (let n = 0; n < 5; n++) {
      await client.drain();
      world().clock.advance({ seconds: 1 });
    }
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: "done" });
    expect(writes.filter((write) => write !== "")).toEqual([
      "first WAITING,WAITING",
      "first COMPLETED,second WAITING,WAITING",
      "second COMPLETED,both WAITING,of WAITING,WAITING",
      // Which of the two is first is recorded before anybody hears of it.
      "both COMPLETED,of COMPLETED,",
      "last WAITING,WAITING",
      "last COMPLETED,COMPLETED",
    ]);
  });

  test("I1: that a wait is over is recorded by itself if its code does nothing for a while", async () => {
    const [working, over] = [gate(), gate()];
    const run = await start(world(), async (io) => {
      await io.wait("w", 1);
      over.open();
      await working.opened;
    });
    await run.drain();
    world().clock.advance({ seconds: 1 });
    const drained = run.drain();
    await over.opened;
    await turns();
    expect((await run.read()).tasks).toMatchObject([{ key: "w", status: "COMPLETED" }]);
    working.open();
    expect((await drained).status).toBe("COMPLETED");
  });

  test("E10: that a wait is over is no progress of a process that dies before it is recorded", async () => {
    let machine: Machine;
    const job = jobOf(
      async (io) => {
        await io.wait("w", 1);
        await io.runTask("poison", () => {
          machine.freeze();
          return new Promise<never>(() => {});
        });
      },
      { maxExecutionsWithoutProgress: 3 },
    );
    const sender = world().client({ jobs: [job] });
    const { id } = await sender.invoke("job");
    await sender.drain();
    let poisonings = 0;
    for (let n = 0; n < 6; n++) {
      world().clock.advance("5m");
      machine = new Machine(world(), { jobs: [job] });
      void machine.client.drain();
      await turns();
      if (machine.isFrozen) poisonings++;
    }
    expect(poisonings).toBe(3);
    expect((await sender.getRun(id))?.status).toBe("TIMED_OUT");
  });

  test("I1: a duration that makes no sense rejects the call", async () => {
    const run = await runToEnd(world(), async (io) => {
      const codes: string[] = [];
      for (const [index, when] of [Number.NaN, "soon", {}, new Date(Number.NaN), null].entries())
        await io.wait(["w", index], when as never).catch((error) => codes.push(error.code));
      return codes;
    });
    expect(run.output).toEqual(Array(5).fill("OPTION_INVALID"));
  });

  test("I1: the instant is fixed when the wait is first met, also if the process dies while it waits", async () => {
    const program = (io: Parameters<Parameters<typeof start>[1]>[0]) => io.wait("hour", "1h");
    const job = jobOf(program);
    const machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    const due = new Date(world().clock.now() + 3_600_000);
    await machine.client.drain();
    machine.freeze();
    world().clock.advance("30m");
    const survivor = world().client({ jobs: [job] });
    await survivor.drain();
    expect(await survivor.getRun(id)).toMatchObject({ status: "WAITING", availableAt: due });
    world().clock.advance("30m");
    await survivor.drain();
    expect((await survivor.getRun(id))?.status).toBe("COMPLETED");
  });

  test("I1: a wait beside a busy task keeps its instant when the execution yields or stops", async () => {
    const begin = world().clock.now();
    const run = await start(
      world(),
      async (io) => {
        await Promise.all([
          io.wait("hour", "1h"),
          (async () => {
            await io.runTask("half", () => world().clock.advance("30m"));
            await io.yield("leave");
          })(),
        ]);
        return io.runTask("at", () => world().clock.now() - begin);
      },
      { client: { leaseMs: 36_000_000 } },
    );
    expect(await run.finish()).toMatchObject({ status: "COMPLETED", output: 3_600_000 });
  });

  test("a wait that becomes due beside a busy task ends while that task still runs", async () => {
    const busy = gate();
    const order: string[] = [];
    const run = await start(world(), (io) =>
      Promise.all([
        io.wait("short", 10).then(() => order.push("wait")),
        io.runTask("busy", () => busy.opened).then(() => order.push("task")),
      ]),
    );
    const draining = run.client.drain();
    await turns();
    expect((await run.read()).status).toBe("EXECUTING");
    world().clock.advance("10s");
    await turns();
    expect(order).toEqual(["wait"]);
    busy.open();
    await draining;
    expect(order).toEqual(["wait", "task"]);
    expect((await run.read()).executionCount).toBe(1);
  });

  test("after a downtime overdue waits end once each, the earliest first", async () => {
    const run = await start(world(), async (io) => {
      const order: string[] = [];
      await Promise.all(
        [3, 1, 2].map((hours) =>
          io.wait(["w", hours], { hours }).then(() => order.push(String(hours))),
        ),
      );
      return order;
    });
    await run.drain();
    world().clock.advance("5h");
    expect(await run.drain()).toMatchObject({ status: "COMPLETED", output: ["1", "2", "3"] });
    expect((await run.read()).tasks?.every((task) => task.attempts.length <= 1)).toBe(true);
  });

  test("a hundred waits in a row, each replayed or kept, end in order", async () => {
    const run = await runToEnd(world(), async (io) => {
      for (let index = 0; index < 100; index++) await io.wait(["w", index], 60);
      return "through";
    });
    expect(run.output).toBe("through");
    expect((run.finishedAt?.getTime() ?? 0) - run.createdAt.getTime()).toBe(6_000_000);
  });
});
