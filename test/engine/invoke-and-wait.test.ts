import { WaitTimeoutError } from "pawl";
import { expect, test } from "vitest";
import type { ClaimRequest } from "../../src/core/storage.js";
import { jobOf, Machine, runToEnd, start } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

const child = jobOf(
  async (io, _context, payload) => {
    const { n, fail } = payload as { n: number; fail?: boolean };
    await io.wait("w", n);
    if (fail === true) throw new TypeError("child broke");
    return { doubled: n * 2, date: new Date(n) };
  },
  { id: "child" },
);
const withChild = { client: { jobs: [child] } };

describeEngine("invokeAndWait", (world) => {
  test("T21: the parent parks until the child ends and gets its output, the same at each replay", async () => {
    const seen: unknown[] = [];
    const run = await runToEnd(
      world(),
      async (io) => {
        const result = await io.invokeAndWait("c", "child", { n: 60 });
        seen.push(result);
        await io.wait("park", 60);
        return result.ok;
      },
      withChild,
    );
    expect(run.output).toBe(true);
    expect(seen[0]).toMatchObject({
      ok: true,
      output: { doubled: 120, date: new Date(60) },
      run: { jobId: "child", status: "COMPLETED" },
    });
    expect(seen.at(-1)).toEqual(seen[0]);
  });

  test("T21: the parent goes on and ends if a claim brings more signals than it counts, since one came meanwhile", async () => {
    const storage = new Proxy(world().storage(), {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name !== "claimRuns") return member.bind(target);
        return async (request: ClaimRequest) => {
          const answer = await target.claimRuns(request);
          const runs = answer.runs.map((claimed) => {
            const inbox = Math.max(0, claimed.run.inbox - 1);
            return { ...claimed, run: { ...claimed.run, inbox } };
          });
          return { ...answer, runs };
        };
      },
    });
    const parent = jobOf(async (io) => {
      const both = [
        io.invokeAndWait("a", "child", { n: 0 }),
        io.invokeAndWait("b", "child", { n: 0 }),
      ];
      const results = await Promise.all(both);
      await io.runTask("after", () => 1);
      return results.map(({ ok }) => ok);
    });
    const client = world().client({ storage, jobs: [parent, child] });
    const { id } = await client.invoke("job");
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: [true, true] });
  });

  test("T21: a child that fails or is cancelled is an answer, not an exception", async () => {
    const run = await start(
      world(),
      async (io) => {
        const failed = await io.invokeAndWait("f", "child", { n: 1, fail: true });
        const canceled = await io.invokeAndWait("c", "child", { n: 3_600 });
        return [
          failed.ok ? "" : failed.error.message,
          canceled.ok ? "" : (canceled.error as { code?: string }).code,
          canceled.run.status,
        ];
      },
      withChild,
    );
    await run.drain();
    world().clock.advance(1);
    await run.drain();
    const { runs } = await run.client.getRuns({ jobId: "child", status: "WAITING" });
    await run.client.cancelRun(runs[0]?.id ?? "");
    expect((await run.finish()).output).toEqual(["child broke", "RUN_CANCELED", "CANCELED"]);
  });

  test("I5: a timeout rejects with WaitTimeoutError, can be caught, and the child goes on", async () => {
    const seen: unknown[] = [];
    const run = await start(
      world(),
      async (io) => {
        try {
          await io.invokeAndWait("c", "child", { n: 7_200 }, { timeout: "1h" });
        } catch (error) {
          seen.push(error instanceof WaitTimeoutError, (error as WaitTimeoutError).code);
        }
        await io.wait("long", "3h");
        return "went on";
      },
      withChild,
    );
    expect((await run.finish()).output).toBe("went on");
    expect(seen.slice(-2)).toEqual([true, "WAIT_TIMEOUT"]);
    const { runs } = await run.client.getRuns({ jobId: "child" });
    expect(runs[0]?.status).toBe("COMPLETED");
  });

  test("a child that ended during a downtime wins over a timeout that passed meanwhile", async () => {
    const job = jobOf(
      async (io) => (await io.invokeAndWait("c", "child", { n: 60 }, { timeout: "1h" })).ok,
    );
    const run = await start(world(), async () => {}, {
      job: { id: "other" },
      client: { jobs: [job] },
    });
    const worker = world().client({ jobs: [child] });
    await worker.drain();
    const { id } = await run.client.invoke("job", {});
    await run.client.drain();
    world().clock.advance("50m");
    await worker.drain();
    world().clock.advance("2h");
    await worker.drain();
    await run.client.drain();
    expect(await run.client.getRun(id)).toMatchObject({ status: "COMPLETED", output: true });
  });

  test("T22: a batch answers in the order of its items and wakes its parent once", async () => {
    const run = await start(
      world(),
      async (io) => {
        const results = await io.batchInvokeAndWait("b", "child", [
          { payload: { n: 30 } },
          { payload: { n: 10, fail: true } },
          { payload: { n: 20 } },
        ]);
        return results.map((result) =>
          result.ok ? (result.output as { doubled: number }).doubled : "failed",
        );
      },
      withChild,
    );
    for (let step = 0; step < 4; step++) {
      await run.drain();
      world().clock.advance(10);
    }
    expect((await run.drain()).output).toEqual([60, "failed", 40]);
  });

  test("T22: a batch of nothing is an empty list", async () => {
    const run = await runToEnd(world(), (io) => io.batchInvokeAndWait("b", "child", []), withChild);
    expect(run).toMatchObject({ status: "COMPLETED", output: [], executionCount: 1 });
  });

  test("T22: a batch with concurrency has at most so many children at a time", async () => {
    const run = await start(
      world(),
      (io) =>
        io.batchInvokeAndWait(
          "b",
          "child",
          Array.from({ length: 5 }, () => ({ payload: { n: 60 } })),
          { concurrency: 2 },
        ),
      withChild,
    );
    const most: number[] = [];
    for (let step = 0; step < 4; step++) {
      await run.drain();
      most.push((await run.client.getRuns({ jobId: "child", status: "WAITING" })).runs.length);
      world().clock.advance(60);
    }
    expect(most).toEqual([2, 2, 1, 0]);
    expect((await run.read()).status).toBe("COMPLETED");
  });

  test("a crash between creation and record makes no second child", async () => {
    const parent = jobOf(async (io) => {
      const started = await io.invoke("start", "child", { n: 1 });
      const waited = await io.invokeAndWait("wait", "child", { n: 2 });
      return [started.id, waited.run.id];
    });
    for (const commit of [1, 2, 3]) {
      const machine = new Machine(world(), { jobs: [parent, child] });
      machine.dieAtCommit(commit);
      const { id } = await machine.client.invoke(parent, {});
      void machine.client.drain();
      await until(() => machine.isFrozen);
      const survivor = world().client({ jobs: [parent, child] });
      for (let step = 0; step < 5; step++) {
        world().clock.advance("31s");
        await survivor.drain();
      }
      expect((await survivor.getRun(id))?.status).toBe("COMPLETED");
      const { runs } = await survivor.getRuns({ parentId: id, take: 100 });
      expect(runs.length).toBe(2);
      await survivor.stop({ timeout: 0 });
    }
  });

  test("parent and child in two clients that know only their own job", async () => {
    const run = await start(world(), async (io) => {
      const result = await io.invokeAndWait("c", "child", { n: 5 });
      return result.ok;
    });
    const worker = world().client({ jobs: [child] });
    await worker.drain();
    await run.client.drain();
    await worker.drain();
    world().clock.advance(5);
    await worker.drain();
    expect(await run.finish()).toMatchObject({ status: "COMPLETED", output: true });
  });
});
