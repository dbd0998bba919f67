import {
  type Io,
  NonRetriableError,
  type OnError,
  RetryAfterError,
  retry,
  retryAfterReset,
  type Task,
} from "pawl";
import { expect, test } from "vitest";
import { gate, jobOf, Machine, runToEnd, start, turns } from "./drive.js";
import { describeEngine, type World } from "./world.js";

/** The instants of the attempts of a task that always fails, from the first on. */
async function attemptTimes(world: World, options: object, onError?: OnError): Promise<number[]> {
  const times: number[] = [];
  await runToEnd(world, (io) =>
    io.runTask(
      "fails",
      () => {
        times.push(world.clock.now());
        throw new Error("no");
      },
      options,
      onError,
    ),
  );
  return times.map((time) => time - (times[0] ?? 0));
}

const everySecond = {
  limit: 4,
  minTimeoutInMs: 1_000,
  factor: 1,
  randomize: false,
} as const;

describeEngine("retries", (world) => {
  test("K7: limit counts attempts, and the delays follow min, factor and max", async () => {
    const options = {
      limit: 6,
      minTimeoutInMs: 1_000,
      factor: 2,
      maxTimeoutInMs: 5_000,
      randomize: false,
    };
    // 1, 1, 2, 4, 5 (capped)
    expect(await attemptTimes(world(), { retry: options })).toEqual([
      0, 1_000, 2_000, 4_000, 8_000, 13_000,
    ]);
  });

  test("K7: randomize stretches a delay to at most twice its length", async () => {
    const [, second = 0] = await attemptTimes(world(), { retry: { limit: 2 } });
    expect(second).toBeGreaterThanOrEqual(1_000);
    expect(second).toBeLessThanOrEqual(2_000);
  });

  test("K7: the presets make eight attempts", async () => {
    expect((await attemptTimes(world(), { retry: retry.standardBackoff })).length).toBe(8);
  });

  test("K8: without retry there is one attempt, and limit 0 and 1 mean one too", async () => {
    expect(await attemptTimes(world(), {})).toEqual([0]);
    expect(
      await attemptTimes(world(), { retry: { limit: 0 } }).catch(() => "second job"),
    ).toBeDefined();
  });

  test("K9: the job's retry wins over the client's, the task's over both, and false switches it off", async () => {
    const attempts: Record<string, number> = { job: 0, task: 0, off: 0 };
    const fail = (key: string) => () => {
      attempts[key] = (attempts[key] ?? 0) + 1;
      throw new Error("no");
    };
    await runToEnd(
      world(),
      async (io) => {
        await io.runTask("job", fail("job")).catch(() => {});
        await io
          .runTask("task", fail("task"), { retry: { ...everySecond, limit: 2 } })
          .catch(() => {});
        await io.runTask("off", fail("off"), { retry: false }).catch(() => {});
      },
      {
        client: { retry: { ...everySecond, limit: 5 } },
        job: { retry: { ...everySecond, limit: 3 } },
      },
    );
    expect(attempts).toEqual({ job: 3, task: 2, off: 1 });
  });

  test("K9: the client's retry applies where nobody else says anything", async () => {
    let attempts = 0;
    await runToEnd(
      world(),
      (io) =>
        io.runTask("task", () => {
          attempts++;
          throw new Error("no");
        }),
      { client: { retry: everySecond } },
    );
    expect(attempts).toBe(4);
  });

  test("K10: onError that returns nothing leaves the decision to retry", async () => {
    expect(await attemptTimes(world(), { retry: everySecond }, () => undefined)).toEqual([
      0, 1_000, 2_000, 3_000,
    ]);
  });

  test("K10: onError that returns an error replaces the error, and the attempts go on", async () => {
    let attempts = 0;
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "fails",
        () => {
          attempts++;
          throw new Error("original");
        },
        { retry: everySecond },
        (error) => new TypeError(`seen: ${(error as Error).message}`),
      ),
    );
    expect(attempts).toBe(4);
    expect(run.error).toMatchObject({ name: "TypeError", message: "seen: original" });
  });

  test("K10: onError that gives a time moves the next attempt there, within the limit", async () => {
    const later: OnError = async (_error, task) => ({
      retryAt: new Date(world().clock.now() + task.attempt * 60_000),
    });
    expect(await attemptTimes(world(), { retry: everySecond }, later)).toEqual([
      0, 60_000, 180_000, 360_000,
    ]);
  });

  test("K10, N4: onError is told the time of the client's clock, for limits that are reset in some seconds", async () => {
    const limited: OnError = (_error, _task, _io, now) =>
      retryAfterReset({ "retry-after": "40" }, [], now);
    expect(await attemptTimes(world(), { retry: everySecond }, limited)).toEqual([
      0, 40_000, 80_000, 120_000,
    ]);
  });

  test("K10: a time without retry options makes at most five attempts", async () => {
    const later: OnError = () => ({ retryAt: new Date(world().clock.now() + 1_000) });
    expect((await attemptTimes(world(), {}, later)).length).toBe(5);
  });

  test("K10: retryAt can bring an error of its own, and one in the past retries at once", async () => {
    let attempts = 0;
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "fails",
        () => {
          attempts++;
          throw new Error("no");
        },
        { retry: { limit: 2 } },
        () => ({ retryAt: new Date(0), error: new RangeError("mine") }),
      ),
    );
    expect(attempts).toBe(2);
    expect(run.error).toMatchObject({ name: "RangeError", message: "mine" });
    expect(run.tasks?.[0]?.attempts.length).toBe(2);
  });

  test("K10: skipRetrying ends the task with the error as it is", async () => {
    expect(
      await attemptTimes(world(), { retry: everySecond }, () => ({ skipRetrying: true })),
    ).toEqual([0]);
  });

  test("K10: an onError that throws ends nothing but its attempt; one that answers nonsense fails the task", async () => {
    const seen: unknown[] = [];
    const answers = [
      () => {
        throw new Error("onError broke");
      },
      () => "yes" as never,
      () => ({ retryAt: "tomorrow" }) as never,
      () => ({ retryAt: new Date(Number.NaN) }),
      () => ({}) as never,
    ];
    await runToEnd(world(), async (io) => {
      for (const [index, answer] of answers.entries()) {
        await io
          .runTask(
            ["t", index],
            () => Promise.reject(new Error("task")),
            { retry: { limit: 1 } },
            answer,
          )
          .catch((error) => seen.push(error.code ?? error.message));
      }
    });
    expect(seen.slice(-5)).toEqual([
      "onError broke",
      "OPTION_INVALID",
      "OPTION_INVALID",
      "OPTION_INVALID",
      "OPTION_INVALID",
    ]);
  });

  test("K10: onError may make io calls and even wait; its calls are remembered with the attempt", async () => {
    const calls: string[] = [];
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "outer",
        (task) => {
          calls.push(`attempt ${task.attempt}`);
          if (task.attempt === 1) throw new Error("no");
          return "ok";
        },
        { retry: { limit: 2, randomize: false } },
        async (_error, task, inner) => {
          await inner.runTask("report", () => calls.push(`report ${task.attempt}`));
          await inner.wait("pause", "1h");
        },
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: "ok" });
    expect(calls.filter((call) => call.startsWith("report"))).toEqual(["report 1"]);
    expect(calls.at(-1)).toBe("attempt 2");
    expect(run.tasks?.[0]?.tasks?.map((task) => task.path)).toEqual([
      "outer/report",
      "outer/pause",
    ]);
  });

  test("NonRetriableError ends the task at once, through the tasks around it", async () => {
    const attempts: string[] = [];
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "outer",
        (_task, inner) => {
          attempts.push("outer");
          return inner.runTask(
            "inner",
            () => {
              attempts.push("inner");
              throw new NonRetriableError("card declined");
            },
            { retry: everySecond },
          );
        },
        { retry: everySecond },
      ),
    );
    expect(run).toMatchObject({ status: "FAILED", error: { message: "card declined" } });
    expect(attempts).toEqual(["outer", "inner"]);
  });

  test("RetryAfterError says when, and attempts stay bounded", async () => {
    const times: number[] = [];
    const start = world().clock.now();
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "limited",
        () => {
          times.push(world().clock.now() - start);
          throw new RetryAfterError(new Date(world().clock.now() + 90_000));
        },
        { retry: { limit: 3 } },
      ),
    );
    expect(times).toEqual([0, 90_000, 180_000]);
    expect(run.status).toBe("FAILED");
  });

  test("K11: the history has number, error and times of each attempt, also beyond fifty", async () => {
    let attempts = 0;
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "flaky",
        () => {
          if (++attempts < 60) throw new Error(`no ${attempts}`);
          return "ok";
        },
        { retry: { ...everySecond, limit: 60 } },
      ),
    );
    const history = run.tasks?.[0]?.attempts ?? [];
    expect(history.at(-1)).toMatchObject({ number: 60 });
    expect(history.at(-2)).toMatchObject({ number: 59, error: { message: "no 59" } });
    expect(history.at(0)).toMatchObject({ number: 10, error: { message: "no 10" } });
    for (const { startedAt, finishedAt } of history)
      expect(finishedAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
  });

  test("K12: a failed task stays failed, and every replay rejects with the same error", async () => {
    const seen: unknown[] = [];
    let calls = 0;
    class Declined extends Error {
      override name = "Declined";
      code = "card";
    }
    const run = await runToEnd(world(), async (io) => {
      try {
        await io.runTask("pay", () => {
          calls++;
          throw new Declined("no money", { cause: new TypeError("why") });
        });
      } catch (error) {
        const { name, message, stack, cause, code } = error as Declined;
        seen.push({
          name,
          message,
          stack,
          code,
          cause: String(cause),
          type: cause instanceof TypeError,
        });
      }
      await io.wait("park", 1);
      return "caught";
    });
    expect(run.output).toBe("caught");
    expect(calls).toBe(1);
    expect(seen.length).toBe(world().maxParked === 0 ? 2 : 1);
    expect(seen[0]).toMatchObject({
      name: "Declined",
      message: "no money",
      code: "card",
      cause: "TypeError: why",
      type: true,
    });
    expect(seen.at(-1)).toEqual(seen[0]);
  });

  test("K13: a retried parent re-runs its failed children with fresh attempts and keeps its completed ones", async () => {
    const calls: string[] = [];
    const seenAttempts: number[] = [];
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "parent",
        async (parent, inner) => {
          const kept = await inner.runTask("kept", () => calls.push("kept"));
          await inner.runTask(
            "flaky",
            (task) => {
              calls.push(`flaky ${parent.attempt}.${task.attempt}`);
              seenAttempts.push(task.attempt);
              if (parent.attempt < 3) throw new Error("not yet");
            },
            { retry: { ...everySecond, limit: 2 } },
          );
          return kept;
        },
        { retry: { ...everySecond, limit: 3 } },
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(calls).toEqual([
      "kept",
      "flaky 1.1",
      "flaky 1.2",
      "flaky 2.1",
      "flaky 2.2",
      "flaky 3.1",
    ]);
    expect(seenAttempts).toEqual([1, 2, 1, 2, 1]);
  });

  test("K13: a sibling that still runs when its parent is tried again is told to stop, and counts once", async () => {
    const signals: AbortSignal[] = [];
    let aborted: boolean[] = [];
    const slow = gate();
    const run = await start(world(), (io) =>
      io.runTask(
        "parent",
        async (parent, inner) => {
          const [, value] = await Promise.all([
            inner.runTask("fails", () => {
              if (parent.attempt === 1) throw new Error("first");
            }),
            inner.runTask("slow", async (task: Task) => {
              signals.push(task.signal);
              if (parent.attempt === 2) aborted = signals.map((signal) => signal.aborted);
              if (parent.attempt === 1) await slow.opened;
              return parent.attempt;
            }),
          ]);
          return value;
        },
        { retry: { limit: 2, randomize: false } },
      ),
    );
    const draining = run.client.drain();
    await turns();
    world().clock.advance("2s");
    await turns();
    slow.open();
    await draining;
    const ended = await run.finish();
    expect(ended).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(aborted).toEqual([true, false]);
    expect(world().troubles).toEqual([]);
  });

  test("K13: what a failed attempt left waiting does not disturb the next attempt", async () => {
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "parent",
        async (parent, inner) => {
          await Promise.all([
            inner.runTask("fails", () => {
              if (parent.attempt === 1) throw new Error("first");
            }),
            inner.wait("long", "1h"),
            inner.runTask(
              "retried",
              (task) => {
                if (task.attempt === 1) throw new Error("again");
              },
              { retry: { limit: 2, minTimeoutInMs: 60_000 } },
            ),
          ]);
          return parent.attempt;
        },
        { retry: { limit: 2, randomize: false } },
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(world().troubles).toEqual([]);
  });

  test("K13: a wait that only the failed attempt made does not wake the run", async () => {
    const run = await start(world(), (io) =>
      io.runTask(
        "parent",
        async (parent, inner) => {
          if (parent.attempt === 2) return inner.wait("second", "5h");
          void inner.wait("first", "1h");
          throw new Error("once");
        },
        { retry: { limit: 2, minTimeoutInMs: 1_000, randomize: false } },
      ),
    );
    await run.drain();
    world().clock.advance(1);
    const due = new Date(world().clock.now() + 18_000_000);
    expect((await run.drain()).availableAt).toEqual(due);
    expect((await run.finish()).status).toBe("COMPLETED");
  });

  test("K13: a replay that meets retries inside of retries, all of them due, makes their attempts at once", async () => {
    const executions = new Set<number>();
    const level = (io: Io, depth: number): Promise<number> =>
      io.runTask(
        `level ${depth}`,
        async (task, inner) => {
          if (task.attempt === 1) throw new Error("not yet");
          return depth === 5 ? depth : level(inner, depth + 1);
        },
        { retry: everySecond },
      );
    const started = await start(world(), (io, { run }) => {
      executions.add(run.executionCount);
      return level(io, 1);
    });
    expect(await started.finish()).toMatchObject({ status: "COMPLETED", output: 5 });
    // The first one, and one for each retry; a kept frame goes on where it was.
    expect(executions.size).toBe(world().maxParked === 0 ? 6 : 1);
  });

  test("K13: a retry that waited out a crash of its process goes on with the next attempt", async () => {
    const attempts: number[] = [];
    const job = jobOf((io) =>
      io.runTask(
        "flaky",
        (task) => {
          attempts.push(task.attempt);
          if (attempts.length < 3) throw new Error("no");
        },
        { retry: everySecond },
      ),
    );
    const machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    await machine.client.drain();
    machine.freeze();
    world().clock.advance("31s");
    const survivor = world().client({ jobs: [job] });
    await survivor.drain();
    world().clock.advance("1s");
    await survivor.drain();
    expect((await survivor.getRun(id))?.status).toBe("COMPLETED");
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("retryRun keeps completed tasks and gives failed ones fresh attempts", async () => {
    const calls: string[] = [];
    let broken = true;
    const run = await start(world(), async (io) => {
      await io.runTask("good", () => calls.push("good"));
      await io.runTask(
        "bad",
        (task) => {
          calls.push(`bad ${task.attempt}`);
          if (broken) throw new Error("no");
        },
        { retry: { ...everySecond, limit: 2 } },
      );
    });
    expect((await run.finish()).status).toBe("FAILED");
    broken = false;
    await run.client.retryRun(run.id);
    expect(await run.finish()).toMatchObject({ status: "COMPLETED", attempt: 2 });
    expect(calls).toEqual(["good", "bad 1", "bad 2", "bad 1"]);
  });

  test("a timeout fails the attempt, fires its signal, and the next attempt is made", async () => {
    const reasons: unknown[] = [];
    const run = await start(world(), (io) =>
      io.runTask(
        "slow",
        async (task) => {
          if (task.attempt === 2) return "second";
          await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
          reasons.push(task.signal.reason.code);
          return "too late";
        },
        { timeout: "10s", retry: { limit: 2, randomize: false } },
      ),
    );
    const draining = run.client.drain();
    await turns();
    world().clock.advance("10s");
    await draining;
    expect(await run.finish()).toMatchObject({ status: "COMPLETED", output: "second" });
    expect(reasons).toEqual(["TASK_TIMEOUT"]);
  });

  test("a timed-out callback that goes on changes nothing any more", async () => {
    const late = gate();
    const calls: string[] = [];
    const run = await start(world(), async (io) => {
      const result = await io
        .runTask(
          "hangs",
          async (_task, inner) => {
            await late.opened;
            calls.push("late");
            await inner.runTask("never", () => calls.push("never"));
          },
          { timeout: 5 },
        )
        .catch((error) => error.code);
      await io.runTask("after", () => late.open());
      await io.wait("park", 60);
      return result;
    });
    const draining = run.client.drain();
    await turns();
    world().clock.advance("5s");
    await draining;
    expect(await run.finish()).toMatchObject({ status: "COMPLETED", output: "TASK_TIMEOUT" });
    await turns();
    expect(calls).toEqual(["late"]);
    expect((await run.read()).tasks?.map((task) => task.path)).toEqual(["hangs", "after", "park"]);
  });

  test("the clock of a timeout stands still while the run is parked inside the task", async () => {
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "patient",
        async (_task, inner) => {
          await inner.wait("day", "1d");
          return "rested";
        },
        { timeout: "10s" },
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: "rested" });
  });
});
