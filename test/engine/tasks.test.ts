import { expect, test } from "vitest";
import { jobOf, Machine, runToEnd, start } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("tasks", (world) => {
  test("K1: a completed callback never runs again, over replays, restarts and clients", async () => {
    let calls = 0;
    const program = async (io: Parameters<Parameters<typeof start>[1]>[0]) => {
      const value = await io.runTask("once", () => ++calls);
      await io.wait("first", "1h");
      await io.wait("second", "1h");
      return value;
    };
    const run = await start(world(), program);
    await run.drain();
    world().clock.advance("1h");
    await run.drain();
    world().clock.advance("1h");
    const other = world().client({ jobs: [jobOf(program)] });
    await other.drain();
    expect(await run.read()).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(calls).toBe(1);
  });

  test("K2: array keys and strings that look like them are different tasks", async () => {
    const keys = ["a:b", ["a", "b"], '["a","b"]', "a/b", "1", [1], ["1"], [null], [true]] as const;
    const run = await runToEnd(world(), async (io) => {
      const seen: number[] = [];
      for (const [index, key] of keys.entries()) seen.push(await io.runTask(key, () => index));
      await io.wait("park", 1);
      return seen;
    });
    expect(run.output).toEqual(keys.map((_, index) => index));
    expect(run.tasks?.length).toBe(keys.length + 1);
  });

  test("K2: the same key under two parents is two tasks", async () => {
    const run = await runToEnd(world(), async (io) => {
      const a = await io.runTask("a", (_task, inner) => inner.runTask("x", () => 1));
      const b = await io.runTask("b", (_task, inner) => inner.runTask("x", () => 2));
      await io.wait("park", 1);
      return [a, b];
    });
    expect(run.output).toEqual([1, 2]);
  });

  test("K5: what the first execution returns is what every replay returns, with the same types", async () => {
    const seen: unknown[] = [];
    const make = () => ({
      date: new Date(5),
      map: new Map([["k", new Set([1n])]]),
      url: new URL("https://pawl.dev/"),
      bytes: new Uint8Array([1, 2]),
      minusZero: -0,
      nan: Number.NaN,
      missing: undefined,
      nothing: null,
      error: new TypeError("no", { cause: new Error("why") }),
    });
    const run = await runToEnd(world(), async (io) => {
      seen.push(await io.runTask("rich", make));
      await io.wait("park", 1);
      return "done";
    });
    expect(run.status).toBe("COMPLETED");
    expect(seen.length).toBe(world().maxParked === 0 ? 2 : 1);
    for (const value of seen) expect(value).toEqual(make());
  });

  test("K5: undefined, null and no record are three different things", async () => {
    let calls = 0;
    const seen: unknown[] = [];
    await runToEnd(world(), async (io) => {
      seen.push(
        await io.runTask("undefined", () => void calls++),
        await io.runTask("null", () => {
          calls++;
          return null;
        }),
      );
      await io.wait("park", 1);
    });
    expect(seen.slice(0, 2)).toEqual([undefined, null]);
    expect(seen.slice(-2)).toEqual([undefined, null]);
    expect(calls).toBe(2);
  });

  test("K5: changing a returned object changes neither the record nor what is returned later", async () => {
    const kept = { list: [1] };
    const run = await runToEnd(world(), async (io) => {
      const value = await io.runTask("value", () => kept);
      const same = value === kept;
      value.list.push(2);
      kept.list.push(3);
      await io.wait("park", 1);
      return { same, value };
    });
    const expected = world().maxParked === 0 ? [1, 2] : [1, 2];
    expect(run.output).toEqual({ same: false, value: { list: expected } });
    expect(run.tasks?.[0]?.output).toEqual({ list: [1] });
  });

  test("K6: an output over the cap, and one that cannot be stored, fail at once and record no output", async () => {
    let calls = 0;
    const run = await runToEnd(
      world(),
      async (io) => {
        const errors: unknown[] = [];
        const options = { retry: { limit: 5 } };
        const big = () => {
          calls++;
          return "x".repeat(2_000);
        };
        await io.runTask("big", big, options).catch((error) => errors.push(error.code));
        const odd = () => {
          calls++;
          return { deep: { callback: [Symbol("no")] } } as unknown;
        };
        await io
          .runTask("odd", odd, options)
          .catch((error) => errors.push(error.code, error.message.includes("deep.callback[0]")));
        return errors;
      },
      { client: { caps: { taskOutputBytes: 1_000 } } },
    );
    expect(run.output).toEqual(["VALUE_TOO_LARGE", "VALUE_NOT_SERIALIZABLE", true]);
    expect(calls).toBe(2);
  });

  test("K14: a task with delayUntil is not started before, and the run is parked until then", async () => {
    const startedAt: number[] = [];
    const due = world().clock.now() + 7_200_000;
    const run = await start(world(), (io) =>
      io.runTask("later", () => startedAt.push(world().clock.now()), { delayUntil: new Date(due) }),
    );
    expect(await run.drain()).toMatchObject({ status: "WAITING", availableAt: new Date(due) });
    world().clock.advance({ milliseconds: 7_199_999 });
    expect((await run.drain()).status).toBe("WAITING");
    world().clock.advance({ milliseconds: 1 });
    expect((await run.drain()).status).toBe("COMPLETED");
    expect(startedAt).toEqual([due]);
  });

  test("K14: delayUntil in the past starts at once; one that is no Date is refused", async () => {
    const run = await runToEnd(world(), async (io) => {
      const past = await io.runTask("past", () => 1, { delayUntil: new Date(0) });
      const bad = [new Date(Number.NaN), "2030-01-01", 5].map((delayUntil, index) =>
        io
          .runTask(["bad", index], () => 1, { delayUntil } as never)
          .catch((error: { code: string }) => error.code),
      );
      return [past, ...(await Promise.all(bad))];
    });
    expect(run.output).toEqual([1, "OPTION_INVALID", "OPTION_INVALID", "OPTION_INVALID"]);
  });

  test("K15: idempotencyKey is one for all attempts and executions, and differs between tasks and runs", async () => {
    const keys: string[] = [];
    const attempts: number[] = [];
    const program = async (io: Parameters<Parameters<typeof start>[1]>[0]) => {
      await io.runTask(
        "pay",
        (task) => {
          keys.push(task.idempotencyKey);
          attempts.push(task.attempt);
          if (attempts.length < 3) throw new Error("again");
        },
        { retry: { limit: 3, randomize: false } },
      );
      return io.runTask("other", (task) => task.idempotencyKey);
    };
    const first = await runToEnd(world(), program);
    const second = await runToEnd(world(), program, { job: { id: "job2" } });
    expect(attempts).toEqual([1, 2, 3, 1]);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(new Set([...keys, first.output, second.output]).size).toBe(4);
  });

  test("K15: task.id and task.key name the task; outputProperties are shown with it", async () => {
    const run = await runToEnd(world(), (io) =>
      io.runTask(["send", 7], (task) => {
        task.outputProperties = [{ label: "count", text: "7" }];
        return { id: task.id, key: task.key };
      }),
    );
    expect(run.output).toEqual({ id: `${run.id}/["send",7]`, key: '["send",7]' });
    expect(run.tasks?.[0]).toMatchObject({
      key: '["send",7]',
      outputProperties: [{ label: "count", text: "7" }],
    });
  });

  test("K17: display options are stored and read back", async () => {
    const display = {
      name: "Send mail",
      icon: "mail",
      description: "to the customer",
      properties: [{ label: "to", text: "a@b.co", url: "https://b.co" }],
      params: { to: "a@b.co", tags: [1, null] },
      style: { style: "minimal", variant: "dim" },
    } as const;
    const run = await runToEnd(world(), (io) => io.runTask("mail", () => "sent", display));
    expect(run.tasks?.[0]).toMatchObject({ ...display, output: "sent", status: "COMPLETED" });
  });

  test("K17: display data that is no JSON neither fails a task nor hangs the run", async () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const run = await runToEnd(world(), async (io) => {
      const a = await io.runTask("params", () => 1, { params: { big: 1n, cycle } });
      const properties = [{ label: "n", text: 5n }, cycle] as never;
      const b = await io.runTask("properties", () => 2, { properties, name: "shown" });
      const c = await io.runTask("output", (task) => {
        task.outputProperties = properties;
        return 3;
      });
      await io
        .runTask("fails", () => Promise.reject(new Error("no")), { properties })
        .catch(() => {});
      return [a, b, c];
    });
    expect(run).toMatchObject({ status: "COMPLETED", output: [1, 2, 3] });
    expect(run.tasks?.map((task) => task.status)).toEqual([
      "COMPLETED",
      "COMPLETED",
      "COMPLETED",
      "FAILED",
    ]);
    expect(run.tasks?.[1]?.name).toBe("shown");
  });

  test("K18: redacted paths are hidden from readers, and the run still gets the whole value", async () => {
    const seen: unknown[] = [];
    const run = await runToEnd(world(), async (io) => {
      const value = await io.runTask(
        "login",
        () => ({ user: "u", auth: { token: "s" }, list: [1] }),
        {
          redact: { paths: ["auth.token", "list.0", "missing.path"] },
        },
      );
      seen.push(value);
      await io.wait("park", 1);
      return value.auth.token;
    });
    expect(run.output).toBe("s");
    expect(run.tasks?.[0]?.output).toEqual({
      user: "u",
      auth: { token: "[redacted]" },
      list: ["[redacted]"],
    });
    expect(seen.at(-1)).toEqual({ user: "u", auth: { token: "s" }, list: [1] });
  });

  test("noop: the callback is not called and the task completes with undefined", async () => {
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      const value = await io.runTask("nothing", () => ++calls, { noop: true });
      await io.wait("park", 1);
      return [value === undefined];
    });
    expect(run.output).toEqual([true]);
    expect(run.tasks?.[0]?.status).toBe("COMPLETED");
    expect(calls).toBe(0);
  });

  test("parseOutput is applied at the first execution and at each replay; what it throws rejects the call", async () => {
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      const date = await io.runTask("date", () => 5 as unknown as Date, {
        parseOutput: (output) => new Date(output as number),
      });
      const later = await io.runTask("async", () => 6, {
        parseOutput: (async (output: unknown) => (output as number) + 1) as never,
      });
      const failure = await io
        .runTask("bad", () => ++calls, {
          parseOutput: () => {
            throw new TypeError("not that");
          },
        })
        .catch((error: Error) => `${error.name}: ${error.message}`);
      await io.wait("park", 1);
      return [date, later, failure];
    });
    expect(run.output).toEqual([new Date(5), 7, "TypeError: not that"]);
    expect(calls).toBe(1);
  });

  test("an option that does not exist, and one of the wrong type, reject the call by name", async () => {
    const bad = [
      [{ retries: 3 }, "OPTION_UNKNOWN"],
      [{ retry: { limit: -1 } }, "OPTION_INVALID"],
      [{ timeout: "soon" }, "OPTION_INVALID"],
      [{ mode: "once" }, "OPTION_INVALID"],
    ] as const;
    const run = await runToEnd(world(), async (io) => {
      const codes: unknown[] = [];
      for (const [index, [options]] of bad.entries()) {
        await io
          .runTask(["bad", index], () => 1, options as never)
          .catch((error) => codes.push(error.code));
      }
      await io.runTask("no callback", undefined as never).catch((error) => codes.push(error.code));
      return codes;
    });
    expect(run.output).toEqual([...bad.map(([, code]) => code), "OPTION_INVALID"]);
    expect(run.tasks).toEqual([]);
  });

  test("K20: a crash between callback and record repeats the callback, and the task is never lost", async () => {
    const attempts: number[] = [];
    let machine: Machine | undefined;
    const job = jobOf(async (io) => {
      const before = await io.runTask("before", () => "kept");
      const after = await io.runTask("crash", (task) => {
        attempts.push(task.attempt);
        if (attempts.length === 1) machine?.freeze();
        return attempts.length;
      });
      return [before, after];
    });
    machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    void machine.client.drain();
    const survivor = world().client({ jobs: [job] });
    await expect.poll(() => attempts.length).toBe(1);
    await survivor.drain();
    expect((await survivor.getRun(id))?.status).toBe("EXECUTING");
    world().clock.advance("31s");
    await survivor.drain();
    expect(await survivor.getRun(id)).toMatchObject({
      status: "COMPLETED",
      output: ["kept", 2],
      executionCount: 2,
    });
    // A crash raises executionCount; task.attempt counts recorded attempts.
    expect(attempts).toEqual([1, 1]);
  });

  test("a fenced zombie records nothing more, its signal fires, and the run has one record per task", async () => {
    let zombie: Machine | undefined;
    const signals: AbortSignal[] = [];
    const job = jobOf(async (io) => {
      const value = await io.runTask("work", (task) => {
        signals.push(task.signal);
        if (signals.length === 1) zombie?.freeze();
        return signals.length;
      });
      return io.runTask("next", () => `after ${value}`);
    });
    zombie = new Machine(world(), { jobs: [job] });
    const { id } = await zombie.client.invoke(job, {});
    void zombie.client.drain();
    await expect.poll(() => signals.length).toBe(1);
    world().clock.advance("31s");
    const survivor = world().client({ jobs: [job] });
    await survivor.drain();
    zombie.thaw();
    await expect.poll(() => signals[0]?.aborted).toBe(true);
    await zombie.client.drain();
    const run = await survivor.getRun(id, { tasks: true, taskDetails: true });
    expect(run).toMatchObject({ status: "COMPLETED", output: "after 2" });
    expect(run?.tasks?.map((task) => task.output)).toEqual([2, "after 2"]);
    await zombie.client.stop();
  });

  test("a run passes from one client to another at every park", async () => {
    const executedBy: string[] = [];
    const make = (name: string) =>
      jobOf(async (io) => {
        for (let day = 0; day < 6; day++) {
          await io.runTask(["work", day], () => executedBy.push(name));
          await io.wait(["night", day], "1d");
        }
        return "done";
      });
    const clients = ["a", "b"].map((name) => world().client({ jobs: [make(name)] }));
    const [a, b] = clients;
    if (a === undefined || b === undefined) throw new Error("two clients");
    const { id } = await a.invoke("job", {});
    for (let day = 0; day < 7; day++) {
      await (day % 2 === 0 ? a : b).drain();
      world().clock.advance("1d");
    }
    expect((await a.getRun(id))?.status).toBe("COMPLETED");
    expect(executedBy).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  test("thrown values that are no errors fail the task with something to look at", async () => {
    const thrown = [null, undefined, "text", 5, { code: 7 }, Symbol("s")];
    const run = await runToEnd(world(), async (io) => {
      const seen: unknown[] = [];
      for (const [index, value] of thrown.entries()) {
        await io
          .runTask(["throw", index], () => {
            throw value;
          })
          .catch((error) => seen.push(error instanceof Error));
      }
      await io.wait("park", 1);
      return seen;
    });
    expect(run.output).toEqual(thrown.map(() => true));
  });
});
