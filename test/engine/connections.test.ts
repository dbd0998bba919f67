import {
  type ConnectionAuth,
  createIntegration,
  type Integration,
  type Io,
  invokeTrigger,
  notConnected,
  retry,
  task,
} from "pawl";
import { expect, test } from "vitest";
import { gate, Machine, turns } from "./drive.js";
import { passingTime, until } from "./support.js";
import { describeEngine, type World } from "./world.js";

const auth: ConnectionAuth = { type: "apiKey", accessToken: "t" };

/** Tells the credentials that it was made with. */
const api = createIntegration({
  id: "api",
  client: (given) => ({ token: given?.accessToken }),
  tasks: { who: task((sdk: { token: string | undefined }, _: undefined) => sdk.token) },
});
type ApiIo = Io & { readonly api: ReturnType<typeof api.cloneForRun> };

function clientWith(world: World, run: (io: ApiIo) => unknown, options: object = {}) {
  const client = world.client({ leaseMs: 3_000 });
  client.on("runFailed", () => {});
  const integrations = { api };
  const job = { id: "j", trigger: invokeTrigger(), integrations, ...options };
  client.defineJob({ ...job, run: (_payload: unknown, io) => run(io) });
  return client;
}

/** A resolver that takes until the test opens the door. */
function slowResolver() {
  const door = gate();
  const seen: { asked: number; signal?: AbortSignal } = { asked: 0 };
  const resolve = async ({ signal }: { readonly signal: AbortSignal }) => {
    seen.asked++;
    seen.signal = signal;
    await door.opened;
    return auth;
  };
  return { door, seen, resolve };
}

describeEngine("credentials before run", (world) => {
  test("N3: a resolver that takes longer than a lease is asked once, and the run goes on", async () => {
    const client = clientWith(world(), (io) => io.api.who("k", undefined));
    const { door, seen, resolve } = slowResolver();
    client.defineAuthResolver(api, resolve);
    await client.start();
    const run = await client.invoke("j", {});
    await until(() => seen.asked === 1);
    for (let step = 0; step < 40; step++) {
      world().clock.advance({ milliseconds: 500 });
      await turns(5);
    }
    door.open();
    await until(async () => (await client.getRun(run))?.status === "COMPLETED");
    expect(seen.asked).toBe(1);
  });

  test("N3: a resolver that hangs ends with the run's maxDuration", async () => {
    const client = clientWith(world(), () => 1, { maxDuration: "10s" });
    const { seen, resolve } = slowResolver();
    client.defineAuthResolver(api, resolve);
    await client.start();
    const run = await client.invoke("j", {});
    await until(() => seen.asked === 1);
    for (let step = 0; step < 40; step++) {
      world().clock.advance({ milliseconds: 500 });
      await turns(5);
    }
    expect((await client.getRun(run))?.status).toBe("TIMED_OUT");
    expect(seen.signal?.aborted).toBe(true);
  });

  test("N3: after stop, what a resolver gives calls no run", async () => {
    let called = false;
    const client = clientWith(world(), () => {
      called = true;
    });
    const { door, seen, resolve } = slowResolver();
    client.defineAuthResolver(api, resolve);
    await client.start();
    await client.invoke("j", {});
    await until(() => seen.asked === 1);
    await passingTime(world().clock, client.stop({ timeout: 0 }));
    door.open();
    await turns();
    expect(called).toBe(false);
  });

  test("N3: a cancel fires the resolver's signal, and calls no run", async () => {
    let called = false;
    const client = clientWith(world(), () => {
      called = true;
    });
    const { door, seen, resolve } = slowResolver();
    client.defineAuthResolver(api, resolve);
    await client.start();
    const run = await client.invoke("j", {});
    await until(() => seen.asked === 1);
    await client.cancelRun(run);
    expect(seen.signal?.aborted).toBe(true);
    door.open();
    await turns();
    expect(called).toBe(false);
  });

  test("N3: after each wait the resolver is asked anew, since a token may be used up by then", async () => {
    let asked = 0;
    const client = clientWith(world(), async (io) => {
      const first = await io.api.who("first", undefined);
      await io.wait("month", "30d");
      return [first, await io.api.who("second", undefined)];
    });
    client.defineAuthResolver(api, () => ({ type: "oauth2", accessToken: `t${++asked}` }));
    const run = await client.invoke("j", {});
    await client.drain();
    world().clock.advance("31d");
    await client.drain();
    expect((await client.getRun(run))?.output).toEqual(["t1", "t2"]);
  });

  test("N3: a token that the service refuses is replaced before the next attempt", async () => {
    const used = createIntegration({
      id: "api",
      client: (given) => given?.accessToken,
      tasks: {
        who: task((token: string | undefined) => {
          if (token === "t1") throw new Error("401");
          return token;
        }),
      },
      onError: (_error, _task, _io, now) => ({ retryAt: new Date(now.getTime() + 1_000) }),
    });
    let asked = 0;
    const client = world().client();
    client.defineAuthResolver(used, () => ({ type: "oauth2", accessToken: `t${++asked}` }));
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      integrations: { used },
      run: (_payload, io) => io.used.who("k"),
    });
    const run = await client.invoke(job);
    await client.drain();
    world().clock.advance(1);
    await client.drain();
    expect(await client.getRun(run)).toMatchObject({ status: "COMPLETED", output: "t2" });
  });

  test("R4: hooks are told of a run that never got its credentials, and not that it started", async () => {
    const heard: string[] = [];
    const client = clientWith(world(), () => 1, {
      onStart: () => heard.push("onStart"),
      onFailure: () => heard.push("onFailure"),
    });
    client.on("runStarted", () => heard.push("runStarted"));
    client.defineAuthResolver(api, () => undefined);
    const run = await client.invoke("j", {});
    await client.drain();
    expect(heard).toEqual(["onFailure"]);
    expect(await client.getRun(run)).toMatchObject({ executionCount: 0 });
  });

  test("R3: a child that has ended does not wake its parent again and again while that waits on a connection", async () => {
    let asked = 0;
    let isConnected = true;
    const client = clientWith(world(), async (io) => {
      const child = await io.invokeAndWait("child", "child", {});
      return [child.ok, await io.api.who("k", undefined)];
    });
    client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: (_payload, io) => io.wait("minute", "1m"),
    });
    client.defineAuthResolver(api, () => {
      // A guard: what spins would never end.
      if (++asked > 20) throw new Error("asked again and again");
      return isConnected ? auth : notConnected;
    });
    const run = await client.invoke("j", {});
    await client.drain();
    isConnected = false;
    world().clock.advance("61s");
    await client.drain();
    expect(await client.getRun(run)).toMatchObject({ status: "WAITING_ON_CONNECTIONS" });
    expect(asked).toBe(2);
    isConnected = true;
    await client.connectionReady(api);
    await client.drain();
    expect((await client.getRun(run))?.output).toEqual([true, "t"]);
  });

  test("R3: connectionReady that died half-way is called again, and wakes the rest", async () => {
    const many = 450;
    let isConnected = false;
    const client = clientWith(world(), (io) => io.api.who("k", undefined));
    client.defineAuthResolver(api, () => (isConnected ? auth : notConnected));
    const invoked = Array.from({ length: many }, () => client.invoke("j", {}));
    await Promise.all(invoked);
    await client.drain();
    isConnected = true;
    const app = new Machine(world());
    app.dieAtCommit(2);
    void app.client.connectionReady(api);
    await until(() => app.isFrozen);
    const { woken } = await client.connectionReady(api);
    expect(woken).toBeGreaterThan(0);
    expect(woken).toBeLessThan(many);
    expect(await client.connectionReady(api)).toEqual({ woken: 0 });
    await client.drain();
    const { runs } = await client.getRuns({ status: "COMPLETED", take: 1_000 });
    expect(runs).toHaveLength(many);
  });

  test("R3: connectionReady reads and wakes a page at a time, however many wait", async () => {
    const client = clientWith(world(), (io) => io.api.who("k", undefined));
    client.defineAuthResolver(api, () => notConnected);
    await Promise.all(Array.from({ length: 450 }, () => client.invoke("j", {})));
    await client.drain();
    const pages: number[] = [];
    let commits = 0;
    let wokenBefore = 0;
    const storage = world().storage();
    const commit = storage.commit.bind(storage);
    const listRuns = storage.listRuns.bind(storage);
    storage.commit = (writes) => {
      commits++;
      wokenBefore += writes.length;
      return commit(writes);
    };
    storage.listRuns = (query) => {
      pages.push(wokenBefore);
      return listRuns(query);
    };
    expect(await world().client({ storage }).connectionReady(api)).toEqual({ woken: 450 });
    expect(pages).toEqual([0, 200, 400]);
    expect(commits).toBeLessThan(45);
  });

  test("R3: retryRun lets a run that waits on a connection look again at once", async () => {
    let isConnected = false;
    const client = clientWith(world(), (io) => io.api.who("k", undefined));
    client.defineAuthResolver(api, () => (isConnected ? auth : notConnected));
    const run = await client.invoke("j", {});
    await client.drain();
    isConnected = true;
    await client.retryRun(run);
    await client.drain();
    expect(await client.getRun(run)).toMatchObject({ status: "COMPLETED", attempt: 1 });
  });

  test("R3: a ttl ends a run that waits on a connection, which has not started", async () => {
    const client = clientWith(world(), () => 1, { maxDuration: "1s" });
    client.defineAuthResolver(api, () => notConnected);
    const run = await client.invoke("j", {}, { ttl: "1h" });
    await client.drain();
    world().clock.advance("59m");
    await client.drain();
    expect((await client.getRun(run))?.status).toBe("WAITING_ON_CONNECTIONS");
    world().clock.advance("2m");
    await client.drain();
    expect(await client.getRun(run)).toMatchObject({
      status: "CANCELED",
      error: { code: "RUN_EXPIRED" },
    });
  });

  test("N1: a task may name its connection, as those of trigger.dev v2 do; it is shown", async () => {
    const legacy: Integration<{ post(key: string): Promise<string> }> = {
      id: "legacy",
      metadata: { id: "legacy", name: "Legacy" },
      authSource: "LOCAL",
      cloneForRun: (io, connectionKey) => ({
        post: (key) =>
          io.runTask(key, () => "sent", { connectionKey, retry: retry.standardBackoff }),
      }),
    };
    const client = clientWith(world(), (io) => io.api.who("k", undefined), {
      id: "other",
    });
    client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      integrations: { legacy },
      run: (_payload, io) => io.legacy.post("k"),
    });
    for (const [jobId, key] of [
      ["j", "legacy"],
      ["other", "api"],
    ] as const) {
      const run = await client.invoke(jobId, {});
      await client.drain();
      const { tasks } = (await client.getRun(run, { tasks: true })) ?? {};
      expect(tasks).toMatchObject([{ key: "k", status: "COMPLETED", connectionKey: key }]);
    }
  });
});
