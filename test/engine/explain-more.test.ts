import { expect, test } from "vitest";
import { defineJob, type Io, invokeTrigger, type JobOptions } from "../../src/index.js";
import { gate, Machine } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

type Options = Partial<JobOptions<unknown, unknown, unknown, Record<never, never>>>;

function jobOf(run: (io: Io, payload: unknown) => unknown, options: Options = {}) {
  return defineJob({
    id: "j",
    trigger: invokeTrigger(),
    ...options,
    run: async (payload, io) => run(io, payload),
  });
}

describeEngine("explainRun in rarer states", (world) => {
  test("a run that executes code of its own and no task says how many it has recorded", async () => {
    const door = gate();
    let isInside = false;
    const client = world().client({
      jobs: [
        jobOf(async (io) => {
          await io.runTask("a", () => 1);
          await io.runTask("b", () => 2);
          isInside = true;
          await door.opened;
        }),
      ],
    });
    const { id } = await client.invoke("j");
    const draining = client.drain();
    await until(() => isInside);
    expect(await client.explainRun(id)).toMatch(/being executed by worker .*recorded \d task/);
    door.open();
    await draining;
  });

  test("of several waits the one that is over first is named", async () => {
    const client = world().client({
      jobs: [
        jobOf((io) =>
          io.waitForAny("first", {
            late: (inner) => inner.wait("late", "2h"),
            child: (inner) => inner.invokeAndWait("call", "child", 1),
            soon: (inner) => inner.wait("soon", "1h"),
          }),
        ),
        jobOf((io) => io.wait("day", "1d"), { id: "child" }),
      ],
    });
    const { id } = await client.invoke("j");
    await client.drain();
    expect(await client.explainRun(id)).toMatch(/waits at "first\/soon\/soon" until .*T01:00/);
  });

  test("a run that waits for a token names it, until when, and how to complete it", async () => {
    const client = world().client({
      jobs: [
        jobOf(async (io, payload) => {
          const { own, wait } = payload as { own?: string; wait?: string };
          const token = await io.createToken("t", own === undefined ? {} : { timeout: own });
          await io.runTask("keep", () => token.id);
          await io.waitForToken("answer", token, wait === undefined ? {} : { timeout: wait });
        }),
      ],
    });
    const explained = async (timeouts: object) => {
      const { id } = await client.invoke("j", timeouts);
      await client.drain();
      const run = await client.getRun(id, { tasks: true, taskDetails: true });
      const tasks = run?.tasks ?? [];
      const token = tasks.find(({ key }) => key === "keep")?.output as string;
      const text = (await client.explainRun(id)) ?? "";
      return text.replaceAll(id, "R").replaceAll(token, "T");
    };
    const start = world().clock.now();
    const at = (hours: number) => new Date(start + hours * 3_600_000).toISOString();
    const sentence = (until: string) =>
      `Run R waits at "answer" for token T, ${until}. Complete it with client.completeToken("T", data).`;
    expect(await explained({})).toBe(sentence("without a timeout"));
    expect(await explained({ own: "5h" })).toBe(sentence(`until ${at(5)}`));
    expect(await explained({ own: "5h", wait: "2h" })).toBe(sentence(`until ${at(2)}`));
    expect(await explained({ own: "3h", wait: "4h" })).toBe(sentence(`until ${at(3)}`));
  });

  test("a run that has recorded the start of a task names it as open", async () => {
    const door = gate();
    let isInside = false;
    const client = world().client({
      jobs: [
        jobOf((io) =>
          io.runTask(
            "pay",
            () => {
              isInside = true;
              return door.opened;
            },
            { mode: "at-most-once" },
          ),
        ),
      ],
    });
    const { id } = await client.invoke("j");
    const draining = client.drain();
    await until(() => isInside);
    expect(await client.explainRun(id)).toMatch(/being executed .*task "pay" is open/);
    door.open();
    await draining;
  });

  test("a parent of several children names one of them and counts the others", async () => {
    const client = world().client({
      jobs: [
        jobOf((io) =>
          io.batchInvokeAndWait("all", "child", [{ payload: 1 }, { payload: 2 }, { payload: 3 }]),
        ),
        jobOf((io) => io.wait("day", "1d"), { id: "child" }),
      ],
    });
    const { id } = await client.invoke("j");
    await client.drain();
    expect(await client.explainRun(id)).toMatch(/for its child \S+ and 2 more, which is WAITING/);
  });

  test("a limit that many runs hold names three of them and counts the rest", async () => {
    const door = gate();
    let inside = 0;
    const work = (io: Io) =>
      io.runTask("t", () => {
        inside++;
        return door.opened;
      });
    const client = world().client({ jobs: [jobOf(work, { concurrencyLimit: 5 })] });
    for (let n = 0; n < 5; n++) await client.invoke("j");
    const draining = client.drain();
    await until(() => inside === 5);
    const { id } = await client.invoke("j");
    const text = await client.explainRun(id);
    expect(text).toMatch(/limit "job:j\/" is taken by \S+, \S+, \S+ and 2 more\./);
    // A process without the job does not know how many may: it names who is in.
    expect(await world().client().explainRun(id)).toBe(text);
    door.open();
    await draining;
  });

  test("a run whose limit has slots left waits for a worker, not for the limit", async () => {
    const door = gate();
    let inside = 0;
    const work = (io: Io) =>
      io.runTask("t", () => {
        inside++;
        return door.opened;
      });
    const busy = world().client({
      concurrency: 1,
      jobs: [jobOf(work, { concurrencyLimit: 2 })],
    });
    await busy.invoke("j");
    const draining = busy.drain();
    await until(() => inside === 1);
    const { id } = await busy.invoke("j");
    expect(await busy.explainRun(id)).toMatch(/due since .* waits for a free worker/);
    door.open();
    await draining;
  });

  test("a run that stalled once, and whose worker is gone, says both", async () => {
    let inside = 0;
    const jobs = [
      jobOf((io) =>
        io.runTask("t", () => {
          inside++;
          return new Promise<void>(() => {});
        }),
      ),
    ];
    const reader = world().client({ jobs });
    const { id } = await reader.invoke("j");
    for (const life of [1, 2]) {
      const doomed = new Machine(world(), { jobs });
      void doomed.client.drain();
      await until(() => inside === life);
      doomed.freeze();
      world().clock.advance("31s");
    }
    expect(await reader.explainRun(id)).toMatch(
      /left by worker .* last 1 execution\(s\) ended without recording/,
    );
  });

  test("a run that nobody knows is not explained", async () => {
    expect(await world().client().explainRun("nobody")).toBeUndefined();
  });

  test("of a record longer than a page, the wait at its end is named", async () => {
    const client = world().client({
      jobs: [
        jobOf(async (io) => {
          for (let n = 0; n < 4; n++) await io.runTask(["big", n], () => "x".repeat(400_000));
          await io.wait("last", "1h");
        }),
      ],
    });
    const { id } = await client.invoke("j");
    await client.drain();
    expect(await client.explainRun(id)).toMatch(/waits at "last" until/);
  });
});
