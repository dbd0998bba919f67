import { eventTrigger, type JobOptions } from "pawl";
import { expect, test } from "vitest";
import { finalStatuses, isPawlError } from "../../src/index.js";
import { jobOf, Machine, turns } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine, type World } from "./world.js";

type Rules = Partial<
  Pick<
    JobOptions<unknown, unknown, unknown, never>,
    "debounce" | "throttle" | "rateLimit" | "singleton"
  >
>;

/** Jobs under these rules, one that is invoked and one that hears events, and what they do. */
class Flow {
  readonly world: World;
  /** Payload and instant (s) of each start. */
  readonly starts: [unknown, number][] = [];
  readonly #jobs;
  readonly #begin: number;

  constructor(world: World, rules: Rules, waitSeconds = 0) {
    this.world = world;
    this.#begin = world.clock.now();
    const run = async (io: Parameters<Parameters<typeof jobOf>[0]>[0], payload: unknown) => {
      await io.runTask("start", () => {
        this.starts.push([payload, this.now]);
      });
      if (waitSeconds > 0) await io.wait("w", waitSeconds);
      return payload;
    };
    this.#jobs = [
      jobOf((io, _context, payload) => run(io, payload), { id: "invoked", ...rules }),
      jobOf((io, _context, payload) => run(io, payload), {
        id: "heard",
        trigger: eventTrigger({ name: "e" }),
        ...rules,
      }),
    ];
  }

  get now(): number {
    return (this.world.clock.now() - this.#begin) / 1_000;
  }

  client(id = "flow") {
    return this.world.client({ id, jobs: this.#jobs });
  }

  machine() {
    return new Machine(this.world, { jobs: this.#jobs });
  }

  async pass(client: ReturnType<Flow["client"]>, seconds: number): Promise<void> {
    for (let step = 0; step < seconds; step++) {
      await client.drain();
      this.world.clock.advance(1);
    }
    await client.drain();
  }
}

/** Status and code by payload, oldest first. */
async function ends(client: ReturnType<Flow["client"]>, jobId: string) {
  const { runs } = await client.getRuns({ jobId, take: 100 });
  const found: unknown[] = [];
  for (const { id } of [...runs].reverse()) {
    const run = await client.getRun(id);
    found.push([
      run?.payload,
      run?.error === undefined ? run?.status : (run.error as { code?: string }).code,
    ]);
  }
  return found;
}

describeEngine("flow control", (world) => {
  test("rateLimit: invoke throws RATE_LIMITED and stores nothing; there is room again after the period", async () => {
    const flow = new Flow(world(), { rateLimit: { limit: 2, period: "1m" } });
    const client = flow.client();
    await client.invoke("invoked", 1);
    flow.world.clock.advance(20);
    await client.invoke("invoked", 2);
    try {
      await client.invoke("invoked", 3);
      expect.unreachable();
    } catch (error) {
      if (!isPawlError(error, "RATE_LIMITED")) throw error;
      expect(error.details?.retryAt).toEqual(new Date(flow.world.clock.now() + 40_000));
    }
    flow.world.clock.advance(40);
    await client.invoke("invoked", 4);
    expect(await codeOf(client.invoke("invoked", 5))).toBe("RATE_LIMITED");
    await client.drain();
    expect(flow.starts.map(([payload]) => payload)).toEqual([1, 2, 4]);
    expect((await client.getRuns({ jobId: "invoked" })).runs).toHaveLength(3);
  });

  test("rateLimit: a repeated invoke with its idempotency key gets its run, used up or not", async () => {
    const flow = new Flow(world(), { rateLimit: { limit: 1, period: "1m" } });
    const client = flow.client();
    const first = await client.invoke("invoked", 1, { idempotencyKey: "k" });
    expect(await client.invoke("invoked", 1, { idempotencyKey: "k" })).toEqual(first);
    expect(await codeOf(client.invoke("invoked", 2, { idempotencyKey: "k" }))).toBe(
      "IDEMPOTENCY_CONFLICT",
    );
    expect(await codeOf(client.invoke("invoked", 1, { idempotencyKey: "l" }))).toBe("RATE_LIMITED");
  });

  test("rateLimit: events over the limit make runs that are CANCELED and never start", async () => {
    const flow = new Flow(world(), {
      rateLimit: { limit: 1, period: "1m", key: (p) => String((p as { of: string }).of) },
    });
    const client = flow.client();
    for (const payload of [{ of: "a" }, { of: "a" }, { of: "b" }])
      await client.sendEvent({ name: "e", payload });
    await client.drain();
    // Both are claimed at once; whose code begins first is left open.
    const started = flow.starts.map(([payload]) => (payload as { of: string }).of);
    expect(started.sort()).toEqual(["a", "b"]);
    expect(await ends(client, "heard")).toEqual([
      [{ of: "a" }, "COMPLETED"],
      [{ of: "a" }, "RATE_LIMITED"],
      [{ of: "b" }, "COMPLETED"],
    ]);
  });

  test("rateLimit: many processes together keep it", async () => {
    const flow = new Flow(world(), { rateLimit: { limit: 3, period: "1h" } });
    const clients = ["a", "b", "c"].map((id) => flow.client(id));
    const answers = await Promise.all(
      clients.flatMap((client) => [1, 2, 3].map((n) => codeOf(client.invoke("invoked", n)))),
    );
    expect(answers.filter((answer) => answer === "no error")).toHaveLength(3);
    expect(answers.filter((answer) => answer === "RATE_LIMITED")).toHaveLength(6);
    await Promise.all(clients.map((client, n) => client.sendEvent({ name: "e", payload: n })));
    await Promise.all(clients.map((client) => client.sendEvent({ name: "e", payload: "more" })));
    await Promise.all(clients.map((client) => client.drain()));
    await Promise.all(clients.map((client) => client.drain()));
    expect(flow.starts).toHaveLength(6);
  });

  test("throttle: delays what is too much, in its order, however it was started", async () => {
    const flow = new Flow(world(), { throttle: { limit: 2, period: 10 } });
    const client = flow.client();
    for (const n of [1, 2, 3, 4, 5]) await client.invoke("invoked", n);
    await flow.pass(client, 25);
    expect(flow.starts).toEqual([
      [1, 0],
      [2, 0],
      [3, 10],
      [4, 10],
      [5, 20],
    ]);
    flow.starts.length = 0;
    for (const n of [1, 2, 3]) await client.sendEvent({ name: "e", payload: n });
    await flow.pass(client, 12);
    expect(flow.starts.map(([payload, at]) => [payload, at - 25])).toEqual([
      [1, 0],
      [2, 0],
      [3, 10],
    ]);
  });

  test("throttle: after an outage no crowd goes at once", async () => {
    const flow = new Flow(world(), { throttle: { limit: 1, period: 10 } });
    const client = flow.client();
    for (let n = 0; n < 6; n++) await client.invoke("invoked", n);
    await client.drain();
    flow.world.clock.advance("10m");
    await flow.pass(client, 60);
    const at = flow.starts.map(([, instant]) => instant);
    expect(at).toHaveLength(6);
    for (const [index, instant] of at.entries())
      if (index > 0) expect(instant - (at[index - 1] ?? 0)).toBeGreaterThanOrEqual(10);
    expect(at.at(-1)).toBeLessThanOrEqual(650);
  });

  test("throttle: a run whose worker dies after its turn came goes on, and is no second start", async () => {
    const flow = new Flow(world(), { throttle: { limit: 1, period: 60 } });
    const machine = flow.machine();
    const client = flow.client();
    const { id } = await client.invoke("invoked", 1);
    machine.dieAtCommit(2);
    void machine.client.start();
    await turns(40);
    expect(machine.isFrozen).toBe(true);
    flow.world.clock.advance(40);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED" });
  });

  test("throttle: cancelled and expired runs leave their turns to others", async () => {
    const flow = new Flow(world(), { throttle: { limit: 1, period: 60 } });
    const client = flow.client();
    for (let n = 0; n < 20; n++) await client.invoke("invoked", n);
    await client.drain();
    await client.cancelRunsForJob("invoked");
    await client.invoke("invoked", "later");
    await flow.pass(client, 70);
    expect(flow.starts.map(([payload]) => payload)).toEqual([0, "later"]);

    const expiring = new Flow(world(), { throttle: { limit: 1, period: 60 } });
    const other = expiring.client("other");
    for (let minute = 0; minute < 12; minute++) {
      for (let n = 0; n < 6; n++) {
        await other.invoke("invoked", minute, { ttl: "3m" });
        await expiring.pass(other, 10);
      }
    }
    expect(expiring.starts.length).toBeGreaterThanOrEqual(11);
    expect(expiring.starts.length).toBeLessThanOrEqual(13);
  });

  test("throttle: a client without the job's code leaves the turn to others as well", async () => {
    const flow = new Flow(world(), { throttle: { limit: 1, period: 60 } });
    const client = flow.client();
    for (let n = 0; n < 20; n++) await client.invoke("invoked", n);
    await client.drain();
    await flow.world.client({ id: "console", jobs: [] }).cancelRunsForJob("invoked");
    await client.invoke("invoked", "later");
    await flow.pass(client, 70);
    expect(flow.starts.map(([payload]) => payload)).toEqual([0, "later"]);
  });

  test("debounce: a delayed start is none before it is due", async () => {
    const flow = new Flow(world(), { debounce: { period: 5 } });
    const client = flow.client();
    const delayed = await client.invoke("invoked", "delayed", { delay: 60 });
    await client.invoke("invoked", "now");
    await flow.pass(client, 70);
    expect((await client.getRun(delayed))?.status).toBe("COMPLETED");
    expect(flow.starts.map(([payload]) => payload)).toEqual(["now", "delayed"]);
  });

  test("singleton join: a run that invokes its own job is told that it would wait for itself", async () => {
    const job = jobOf((io) => codeOf(io.invokeAndWait("self", "job", {})), {
      singleton: { mode: "join" },
    });
    const client = world().client({ jobs: [job] });
    const { id } = await client.invoke("job", {});
    await client.drain();
    expect((await client.getRun(id))?.output).toBe("RUN_SKIPPED");
  });

  test("debounce: the last of several starts runs, when there was quiet for the period", async () => {
    const flow = new Flow(world(), {
      debounce: { period: 10, key: (p) => String((p as [string])[0]) },
    });
    const client = flow.client();
    for (const payload of [
      ["a", 1],
      ["b", 1],
      ["a", 2],
    ]) {
      await client.sendEvent({ name: "e", payload });
      await flow.pass(client, 4);
    }
    await flow.pass(client, 20);
    expect(flow.starts).toEqual([
      [["b", 1], 14],
      [["a", 2], 18],
    ]);
    expect(await ends(client, "heard")).toEqual([
      [["a", 1], "RUN_SUPERSEDED"],
      [["b", 1], "COMPLETED"],
      [["a", 2], "COMPLETED"],
    ]);
    await client.invoke("invoked", ["a", 1]);
    const last = await client.invoke("invoked", ["a", 2]);
    await flow.pass(client, 11);
    expect((await client.waitForRun(last)).output).toEqual(["a", 2]);
  });

  test("debounce: goes on after its longest delay, although starts keep coming", async () => {
    const flow = new Flow(world(), { debounce: { period: 10, maxDelay: 25 } });
    const client = flow.client();
    for (let n = 0; n < 12; n++) {
      await client.sendEvent({ name: "e", payload: n });
      await flow.pass(client, 5);
    }
    await flow.pass(client, 20);
    const at = flow.starts.map(([, instant]) => instant);
    expect(at[0]).toBeLessThanOrEqual(25);
    expect(flow.starts.at(-1)?.[0]).toBe(11);
    for (const [index, instant] of at.entries())
      if (index > 0) expect(instant - (at[index - 1] ?? 0)).toBeLessThanOrEqual(30);
  });

  test("singleton skip: while one is open, invoke throws RUN_SKIPPED and an event's run is CANCELED", async () => {
    const flow = new Flow(world(), { singleton: { mode: "skip" } }, 60);
    const client = flow.client();
    const open = await client.invoke("invoked", 1);
    expect(await codeOf(client.invoke("invoked", 2))).toBe("RUN_SKIPPED");
    await client.drain();
    expect(await codeOf(client.invoke("invoked", 3))).toBe("RUN_SKIPPED");
    for (const n of [1, 2]) await client.sendEvent({ name: "e", payload: n });
    await client.drain();
    flow.world.clock.advance(60);
    await client.drain();
    expect((await client.getRun(open))?.status).toBe("COMPLETED");
    await client.invoke("invoked", 4);
    await client.drain();
    expect(await ends(client, "heard")).toEqual([
      [1, "COMPLETED"],
      [2, "RUN_SKIPPED"],
    ]);
    expect(flow.starts.map(([payload]) => payload)).toEqual([1, 1, 4]);
  });

  test("singleton join: an invoke is given the open run, and waits for that inside a run as well", async () => {
    const flow = new Flow(
      world(),
      { singleton: { mode: "join", key: (p) => String((p as [string])[0]) } },
      60,
    );
    const parent = jobOf(async (io) => (await io.invokeAndWait("c", "invoked", ["a", 2])).run.id);
    const client = flow.client();
    client.attach(parent);
    const open = await client.invoke("invoked", ["a", 1]);
    expect(await client.invoke("invoked", ["a", 9])).toEqual(open);
    expect(await client.invoke("invoked", ["b", 1])).not.toEqual(open);
    await client.drain();
    const { id } = await client.invoke("job", {});
    await client.drain();
    flow.world.clock.advance(60);
    await client.drain();
    expect((await client.getRun(id))?.output).toBe(open.id);
    expect(flow.starts).toHaveLength(2);
  });

  test("singleton replace: the open run is CANCELED with the one that took its place", async () => {
    const flow = new Flow(world(), { singleton: { mode: "replace" } }, 60);
    const client = flow.client();
    const first = await client.invoke("invoked", 1);
    await client.drain();
    const second = await client.invoke("invoked", 2);
    await client.drain();
    const ended = await client.getRun(first);
    expect(ended).toMatchObject({ status: "CANCELED", error: { code: "RUN_SUPERSEDED" } });
    expect(ended?.error).toMatchObject({ details: { runId: second.id } });
    for (const n of [1, 2, 3]) {
      await client.sendEvent({ name: "e", payload: n });
      await client.drain();
    }
    flow.world.clock.advance(60);
    await client.drain();
    expect(await ends(client, "invoked")).toEqual([
      [1, "RUN_SUPERSEDED"],
      [2, "COMPLETED"],
    ]);
    expect(await ends(client, "heard")).toEqual([
      [1, "RUN_SUPERSEDED"],
      [2, "RUN_SUPERSEDED"],
      [3, "COMPLETED"],
    ]);
  });

  test("singleton: of many at once in many processes one is open", async () => {
    for (const mode of ["skip", "join", "replace"] as const) {
      const flow = new Flow(world(), { singleton: { mode } }, 60);
      const clients = [1, 2, 3].map((n) => flow.client(`${mode}-${n}`));
      await Promise.all(
        clients.flatMap((client) => [1, 2].map((n) => codeOf(client.invoke("invoked", n)))),
      );
      await Promise.all(clients.map((client) => client.sendEvent({ name: "e", payload: 1 })));
      for (let round = 0; round < 3; round++)
        await Promise.all(clients.map((client) => client.drain()));
      const [client] = clients;
      if (client === undefined) throw new Error("no client");
      for (const jobId of ["invoked", "heard"]) {
        const { runs } = await client.getRuns({ jobId, take: 100 });
        const open = runs.filter(
          ({ status }) => !(finalStatuses as readonly string[]).includes(status),
        );
        expect([mode, jobId, open.length]).toEqual([mode, jobId, 1]);
      }
      for (const each of clients) await each.cancelRunsForJob("invoked");
      for (const each of clients) await each.cancelRunsForJob("heard");
      for (const each of clients) await each.stop();
    }
  });

  test("singleton: a retried run is open again, and asked again", async () => {
    let fails = true;
    const job = jobOf(
      (io) =>
        io.runTask("t", () => {
          if (fails) throw new Error("broken");
        }),
      { singleton: { mode: "skip" } },
    );
    const client = world().client({ jobs: [job] });
    client.on("runFailed", () => {});
    const { id } = await client.invoke("job", 1);
    await client.drain();
    const later = await client.invoke("job", 2, { delay: "1h" });
    fails = false;
    await client.retryRun(id);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({
      status: "CANCELED",
      error: { code: "RUN_SKIPPED" },
    });
    await client.cancelRun(later);
    await client.retryRun(id);
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("COMPLETED");
  });

  test("singleton replace: a run whose replacement died before it ended it ends with the next start", async () => {
    const flow = new Flow(world(), { singleton: { mode: "replace" } }, 60);
    await flow.client().invoke("invoked", 1);
    const dying = flow.machine();
    dying.dieAtCommit(1);
    void dying.client.invoke("invoked", 2);
    await turns(40);
    expect(dying.isFrozen).toBe(true);
    flow.world.clock.advance(1);
    const client = flow.client("other");
    await client.invoke("invoked", 3);
    await client.drain();
    flow.world.clock.advance(60);
    await client.drain();
    expect(flow.starts.map(([payload]) => payload)).toEqual([3]);
    expect(await ends(client, "invoked")).toEqual([
      [1, "RUN_SUPERSEDED"],
      [2, "RUN_SUPERSEDED"],
      [3, "COMPLETED"],
    ]);
  });

  test("singleton replace: so it does with the next event, and if the replacement was cancelled", async () => {
    for (const cancels of [false, true]) {
      const flow = new Flow(world(), { singleton: { mode: "replace" } }, 60);
      const client = flow.client(`a-${cancels}`);
      await client.invoke("invoked", 1);
      const dying = flow.machine();
      dying.dieAtCommit(1);
      void dying.client.invoke("invoked", 2);
      await turns(40);
      flow.world.clock.advance(1);
      const [second] = (await client.getRuns({ jobId: "invoked", take: 1 })).runs;
      if (cancels) await client.cancelRun(second?.id ?? "");
      // It comes without a decision, as events and ticks do.
      const sender = world().client({ id: `s-${cancels}` });
      await sender.invoke("invoked", 3);
      await client.drain();
      flow.world.clock.advance(60);
      await client.drain();
      expect(flow.starts.filter(([payload]) => payload === 3)).toHaveLength(1);
      const { runs } = await client.getRuns({ jobId: "invoked", take: 3 });
      expect(runs.map(({ status }) => status)).toEqual(["COMPLETED", "CANCELED", "CANCELED"]);
    }
  });

  test.each<[string, Rules]>([
    ["rateLimit", { rateLimit: { limit: 1, period: "1d" } }],
    ["throttle", { throttle: { limit: 1, period: "1d" } }],
    ["debounce", { debounce: { period: "1d" } }],
    ["singleton", { singleton: { mode: "skip" } }],
  ])(
    "%s: a rule that a job gets later does not concern its runs under way",
    async (_title, rules) => {
      const before = new Flow(world(), {}, 60).client("before");
      for (const n of [1, 2]) await before.invoke("invoked", n);
      await before.drain();
      await before.stop({ timeout: 0 });
      const after = new Flow(world(), rules, 60).client("after");
      world().clock.advance(60);
      await after.drain();
      expect(await ends(after, "invoked")).toEqual([
        [1, "COMPLETED"],
        [2, "COMPLETED"],
      ]);
    },
  );

  test("throttle: the time of a run under maxDuration begins at its turn, also if a worker died over the question", async () => {
    const flow = new Flow(world(), { throttle: { limit: 1, period: 60 } });
    const job = jobOf((io) => io.runTask("a", () => "done"), {
      maxDuration: "50s",
      throttle: { limit: 1, period: 120 },
    });
    const client = flow.world.client({ jobs: [job] });
    await client.invoke(job, 1);
    await client.drain();
    const { id } = await client.invoke(job, 2);
    const dying = new Machine(flow.world, { jobs: [job] });
    dying.dieAtCommit(1);
    void dying.client.start();
    await turns(40);
    expect(dying.isFrozen).toBe(true);
    flow.world.clock.advance(31);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "PENDING", executionCount: 0 });
    expect((await client.getRun(id))?.startedAt).toBeUndefined();
    flow.world.clock.advance(100);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: "done" });
  });

  test("a child under a rule is started once, also when its parent dies before it has recorded that", async () => {
    for (let commit = 1; commit <= 4; commit++) {
      const child = jobOf(async () => "done", {
        id: "child",
        rateLimit: { limit: 1, period: "1d", key: String },
      });
      const parent = jobOf(
        async (io) => [
          (await io.invoke("a", "child", `c${commit}`)).id.length > 0,
          await codeOf(io.invoke("b", "child", `c${commit}`)),
        ],
        { maxExecutionsWithoutProgress: 100 },
      );
      const dying = new Machine(world(), { jobs: [child, parent] });
      const survivor = world().client({ id: `s${commit}`, jobs: [child, parent] });
      const { id } = await survivor.invoke("job", {});
      dying.dieAtCommit(commit);
      void dying.client.start();
      await turns(40);
      world().clock.advance("1h");
      await survivor.drain();
      expect(await survivor.getRun(id)).toMatchObject({ output: [true, "RATE_LIMITED"] });
      const children = await survivor.getRuns({ jobId: "child", take: 100 });
      expect(children.runs).toHaveLength(commit);
    }
  });

  test("a sender without the job's code leaves the decision to the worker", async () => {
    const flow = new Flow(world(), { rateLimit: { limit: 1, period: "1h" } });
    const client = flow.client();
    await client.drain();
    const sender = world().client({ id: "sender" });
    for (const n of [1, 2]) await sender.invoke("invoked", n);
    await client.drain();
    expect(await ends(client, "invoked")).toEqual([
      [1, "COMPLETED"],
      [2, "RATE_LIMITED"],
    ]);
  });

  test("rules go together: the last of a burst counts, then its rate, its place and its turn", async () => {
    const flow = new Flow(world(), {
      debounce: { period: 5 },
      rateLimit: { limit: 2, period: "1h" },
      throttle: { limit: 1, period: 60 },
      singleton: { mode: "skip" },
    });
    const client = flow.client();
    for (let burst = 1; burst <= 3; burst++) {
      for (let n = 0; n < 3; n++) await client.sendEvent({ name: "e", payload: [burst, n] });
      await flow.pass(client, 20);
    }
    await flow.pass(client, 60);
    expect(flow.starts).toEqual([
      [[1, 2], 5],
      [[2, 2], 65],
    ]);
    const { runs } = await client.getRuns({ jobId: "heard", take: 100 });
    expect(runs).toHaveLength(9);
  });

  test("rules go together: a burst is over with its last start, also if the rate drops that", async () => {
    const flow = new Flow(world(), {
      debounce: { period: 5, maxDelay: 8 },
      rateLimit: { limit: 1, period: 22 },
    });
    const client = flow.client();
    const send = (n: number) => client.sendEvent({ name: "e", payload: n });
    await send(1);
    await flow.pass(client, 20);
    await send(2);
    await flow.pass(client, 7);
    await send(3);
    await flow.pass(client, 6);
    // Not at 28, as if it still belonged to the second burst.
    expect(flow.starts).toEqual([
      [1, 5],
      [3, 32],
    ]);
    await flow.pass(client, 30);
    const [dropped] = (await client.getRuns({ jobId: "heard", status: "CANCELED" })).runs;
    await client.retryRun(dropped?.id ?? "");
    await client.drain();
    expect(flow.starts.slice(2)).toEqual([[2, 63]]);
  });

  test("rules go together: a start that a singleton drops counts for no rate", async () => {
    const flow = new Flow(
      world(),
      { rateLimit: { limit: 2, period: "1h" }, singleton: { mode: "skip" } },
      10,
    );
    const client = flow.client();
    for (const n of [1, 2]) await client.sendEvent({ name: "e", payload: n });
    await flow.pass(client, 10);
    for (const n of [3, 4]) await client.sendEvent({ name: "e", payload: n });
    await flow.pass(client, 10);
    expect(await ends(client, "heard")).toEqual([
      [1, "COMPLETED"],
      [2, "RUN_SKIPPED"],
      [3, "COMPLETED"],
      [4, "RATE_LIMITED"],
    ]);
  });

  test("rules go together: a drop that was decided while the burst went on is decided again", async () => {
    const flow = new Flow(world(), {
      debounce: { period: 5 },
      rateLimit: { limit: 1, period: "1h" },
    });
    const client = flow.client();
    await client.sendEvent({ name: "e", payload: 1 });
    await flow.pass(client, 6);
    await client.sendEvent({ name: "e", payload: 2 });
    await client.drain();
    flow.world.clock.advance(5);
    const slow = flow.machine();
    await slow.client.getRuns();
    slow.dieAtCommit(1);
    const drained = slow.client.drain();
    await until(() => slow.isFrozen);
    await client.sendEvent({ name: "e", payload: 3 });
    await client.drain();
    slow.thaw();
    await drained;
    await flow.pass(client, 6);
    expect(await ends(client, "heard")).toEqual([
      [1, "COMPLETED"],
      [2, "RUN_SUPERSEDED"],
      [3, "RATE_LIMITED"],
    ]);
  });

  test("explainRun names the rule that holds a run back, and until when", async () => {
    const flow = new Flow(world(), { throttle: { limit: 1, period: 60, key: String } });
    const client = flow.client();
    await client.invoke("invoked", "k");
    const second = await client.invoke("invoked", "k");
    await client.drain();
    const turn = new Date(flow.world.clock.now() + 60_000).toISOString();
    expect(await client.explainRun(second)).toContain(
      `is throttled: job "invoked" has had its 1 starts in 60 for key "k". Its turn is at ${turn}`,
    );
    const bouncing = new Flow(world(), { debounce: { period: 10 } });
    const other = bouncing.client("other");
    await other.sendEvent({ name: "e" });
    await other.drain();
    const [held] = (await other.getRuns({ jobId: "heard" })).runs;
    expect(await other.explainRun(held?.id ?? "")).toContain("is debounced");
    const plain = world().client({ id: "plain" });
    expect(await plain.explainRun(second)).toContain("is throttled: its turn is at");
  });

  test("a key that is no string fails the run, and an invoke at once", async () => {
    const rules = { rateLimit: { limit: 1, period: 1, key: () => 5 as never } };
    const flow = new Flow(world(), rules);
    const client = flow.client();
    client.on("runFailed", () => {});
    expect(await codeOf(client.invoke("invoked", 1))).toBe("OPTION_INVALID");
    await client.sendEvent({ name: "e" });
    await client.drain();
    expect(await ends(client, "heard")).toEqual([[undefined, "OPTION_INVALID"]]);
  });

  test("purge deletes what the rules remember and need no more", async () => {
    const flow = new Flow(world(), {
      rateLimit: { limit: 1, period: "1h", key: String },
      singleton: { mode: "skip", key: String },
      throttle: { limit: 1, period: "1h", key: String },
    });
    const client = flow.client();
    for (const n of [1, 2, 3]) await client.invoke("invoked", n);
    await client.drain();
    const storage = world().storage();
    await storage.init({ clock: world().clock });
    expect(await storage.listValues("flow:", { limit: 100 })).toHaveLength(9);
    flow.world.clock.advance("30m");
    await client.purge({ olderThan: "1d" });
    // The three singletons have ended.
    expect(await storage.listValues("flow:", { limit: 100 })).toHaveLength(6);
    flow.world.clock.advance("2h");
    await client.purge({ olderThan: "1d" });
    expect(await storage.listValues("flow:", { limit: 100 })).toHaveLength(0);
    await storage.close();
  });
});
