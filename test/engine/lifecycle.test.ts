import { expect, test, vi } from "vitest";
import { withFaults } from "../../src/adapter-kit/with-faults.js";
import { createClient, defineJob, invokeTrigger } from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { gate, Machine, turns } from "./drive.js";
import { codeOf, passingTime, until } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("start, stop and drain", (world) => {
  test("C14: a started client executes what is invoked and what was there before", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (payload) => payload,
    });
    const before = await client.invoke(job, "before");
    await client.start();
    await client.start();
    const after = await client.invoke(job, "after");
    expect(await client.waitForRun(before)).toMatchObject({ output: "before" });
    expect(await client.waitForRun(after)).toMatchObject({ output: "after", executionCount: 1 });
  });

  test("G17: stop lets tasks that end in time finish; nothing of them is executed again", async () => {
    const door = gate();
    const calls: string[] = [];
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.runTask("a", async () => {
          calls.push("a");
          await door.opened;
        });
        await io.runTask("b", () => calls.push("b"));
      },
    });
    const first = world().client({ jobs: [job] });
    await first.start();
    const handle = await first.invoke(job);
    await until(() => calls.length === 1);
    const stopping = first.stop({ timeout: "10s" });
    await turns();
    door.open();
    await stopping;
    expect(calls).toEqual(["a"]);
    const second = world().client({ jobs: [job] });
    // No time passes: the lease was given back, not left to run out.
    await second.drain();
    expect(calls).toEqual(["a", "b"]);
    expect(await second.getRun(handle)).toMatchObject({ status: "COMPLETED" });
  });

  test("R14, G17: a task that does not end in time gets its signal, and its lease is given back", async () => {
    const signals: AbortSignal[] = [];
    let calls = 0;
    let hangs = true;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) =>
        io.runTask("stuck", (task) => {
          calls++;
          signals.push(task.signal);
          return hangs ? new Promise<string>(() => {}) : "done";
        }),
    });
    const first = world().client({ jobs: [job] });
    await first.start();
    const handle = await first.invoke(job);
    await until(() => calls === 1);
    await passingTime(world().clock, first.stop({ timeout: "5s" }));
    expect(signals[0]?.aborted).toBe(true);
    hangs = false;
    const second = world().client({ jobs: [job] });
    await second.drain();
    expect(await second.getRun(handle)).toMatchObject({ status: "COMPLETED", output: "done" });
    expect(calls).toBe(2);
  });

  test("C14: after stop every call says CLIENT_STOPPED, a second stop does nothing", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    await client.start();
    const handle = await client.invoke(job);
    await client.waitForRun(handle);
    await client.stop();
    await client.stop();
    const calls = [
      client.invoke(job),
      client.start(),
      client.drain(),
      client.getRun(handle),
      client.sendEvent({ name: "e" }),
      client.stats(),
      client.cancelRun(handle),
    ];
    expect(await Promise.all(calls.map(codeOf))).toEqual(Array(7).fill("CLIENT_STOPPED"));
  });

  test("C14: a stop during start leaves nothing running", async () => {
    const client = world().client();
    let calls = 0;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => {
        calls++;
      },
    });
    await client.invoke(job);
    const starting = codeOf(client.start());
    await client.stop();
    await starting;
    world().clock.advance("1h");
    await turns();
    expect(calls).toBe(0);
  });

  test("C14: stop gives parked runs to others, whose waits then end on time", async () => {
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const first = world().client({ jobs: [job] });
    await first.start();
    const handle = await first.invoke(job);
    await until(async () => (await first.getRun(handle))?.status === "WAITING");
    await first.stop();
    world().clock.advance("1d");
    const second = world().client({ jobs: [job] });
    await second.drain();
    expect((await second.getRun(handle))?.status).toBe("COMPLETED");
  });

  test("C14: start during a drain outlives the drain", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (payload) => payload,
    });
    await client.invoke(job, "first");
    const draining = client.drain();
    await client.start();
    await draining;
    const handle = await client.invoke(job, "second");
    expect(
      await passingTime(world().clock, client.waitForRun(handle, { timeout: "5m" })),
    ).toMatchObject({ output: "second" });
  });

  test("C14: drain executes what its runs start, and leaves what is not due", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (depth, io): Promise<void> => {
        if (Number(depth) > 0) await io.invoke("next", "j", Number(depth) - 1);
      },
    });
    await client.invoke(job, 5);
    await client.invoke(job, 0, { delay: "1s" });
    await Promise.all([client.drain(), client.drain()]);
    expect((await client.stats()).runs).toEqual({ COMPLETED: 6, PENDING: 1 });
  });

  test("C15: a run that two processes want is executed by one of them", async () => {
    let calls = 0;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.runTask("t", () => ++calls),
    });
    const clients = [1, 2, 3].map(() => world().client({ jobs: [job] }));
    for (let n = 0; n < 30; n++) await clients[n % 3]?.invoke(job);
    await Promise.all(clients.map((client) => client.drain()));
    expect(calls).toBe(30);
  });

  test("G14: a run of a process that died is taken over when its lease has run out", async () => {
    const calls: string[] = [];
    const jobOf = (name: string, work: () => unknown) =>
      defineJob({
        id: "j",
        trigger: invokeTrigger(),
        run: async (_payload, io) => {
          await io.runTask("a", () => calls.push(`${name} a`));
          await io.runTask("b", () => {
            calls.push(`${name} b`);
            return work();
          });
        },
      });
    const doomed = new Machine(world(), {
      jobs: [jobOf("first", () => new Promise<void>(() => {}))],
    });
    const handle = await doomed.client.invoke("j");
    void doomed.client.drain();
    await until(() => calls.length === 2);
    doomed.freeze();
    const heir = world().client({ jobs: [jobOf("second", () => {})] });
    world().clock.advance("29s");
    await heir.drain();
    expect(calls).toEqual(["first a", "first b"]);
    world().clock.advance("1s");
    await heir.drain();
    expect(calls).toEqual(["first a", "first b", "second b"]);
    expect(await heir.getRun(handle)).toMatchObject({ status: "COMPLETED", executionCount: 2 });
  });

  test("R17: a storage that fails for a while fails no run and no task", async () => {
    const methods = ["commit", "claimRuns", "createRuns", "getRuns", "listTasks"] as const;
    const storage = withFaults(
      world().storage(),
      methods.flatMap((method) =>
        [2, 3, 5].map((call) => ({ method, call, kind: "error-once" as const })),
      ),
    );
    const client = world().client({ storage });
    let calls = 0;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.runTask("a", () => ++calls);
        await io.wait("minute", "1m");
        await io.runTask("b", () => ++calls);
      },
    });
    const clock = world().clock;
    const handles = [];
    for (let n = 0; n < 3; n++) handles.push(await passingTime(clock, client.invoke(job)));
    await passingTime(clock, client.drain());
    clock.advance("1m");
    await passingTime(clock, client.drain());
    const reader = world().client();
    for (const handle of handles)
      expect(await reader.getRun(handle)).toMatchObject({ status: "COMPLETED" });
    expect(calls).toBe(6);
    expect(world().troubles.length).toBeGreaterThan(3);
  });

  test("R17: a storage that cannot be opened at first is opened by a later call", async () => {
    const storage = withFaults(world().storage(), [
      { method: "init", call: 1, kind: "error-once" },
      { method: "setValue", call: 1, kind: "error-once" },
    ]);
    const client = world().client({ storage });
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "ran" });
    expect(await codeOf(client.invoke(job))).toBe("STORAGE_FAILED");
    expect(await codeOf(client.invoke(job))).toBe("STORAGE_FAILED");
    const handle = await client.invoke(job);
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: "ran" });
  });

  test("E16: stop ends although the storage answers no more", async () => {
    let isInside = false;
    const machine = new Machine(world(), {
      jobs: [
        defineJob({
          id: "j",
          trigger: invokeTrigger(),
          run: async (_payload, io) =>
            io.runTask("t", () => {
              isInside = true;
              return new Promise<void>(() => {});
            }),
        }),
      ],
    });
    await machine.client.invoke("j");
    void machine.client.drain();
    await until(() => isInside);
    machine.freeze();
    const stopping = machine.client.stop({ timeout: "1s" });
    await Promise.race([passingTime(world().clock, stopping), turns(3_000)]);
    machine.thaw();
    await stopping;
  });

  test("two clients may share one storage: stopping one does not close it for the other", async () => {
    const storage = memory();
    const clock = new FakeClock();
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "ran" });
    const one = createClient({ storage, clock, jobs: [job] });
    const two = createClient({ storage, clock });
    await one.drain();
    const handle = await two.invoke("j");
    await two.stop();
    await one.drain();
    expect(await one.getRun(handle)).toMatchObject({ output: "ran" });
    await one.stop();
    await expect(storage.now()).rejects.toMatchObject({ code: "STORAGE_CLOSED" });
  });

  test("a client without a storage warns once that it keeps nothing", async () => {
    const lines = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      const client = createClient({ clock: new FakeClock() });
      await client.stats();
      await client.stats();
      await client.stop();
      expect(lines.mock.calls.filter(([line]) => String(line).includes("in memory"))).toHaveLength(
        1,
      );
    } finally {
      lines.mockRestore();
    }
  });

  test("a run that ends badly while nobody listens prints one line naming job, run, task and error", async () => {
    const lines = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      const client = world().client();
      const job = client.defineJob({
        id: "quiet",
        trigger: invokeTrigger(),
        run: async (_payload, io) =>
          io.runTask("burn", () => {
            throw new Error("too hot");
          }),
      });
      const { id } = await client.invoke(job);
      await client.drain();
      const said = lines.mock.calls.map(([line]) => String(line));
      expect(said).toHaveLength(1);
      for (const part of ["quiet", id, "burn", "too hot"]) expect(said[0]).toContain(part);
      client.on("runFailed", () => {});
      await client.invoke(job);
      await client.drain();
      expect(lines.mock.calls).toHaveLength(1);
    } finally {
      lines.mockRestore();
    }
  });
});
