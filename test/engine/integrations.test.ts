import {
  createIntegration,
  type Integration,
  type Io,
  invokeTrigger,
  notConnected,
  RetryAfterError,
  task,
} from "pawl";
import { expect, test } from "vitest";
import { gate, Machine, turns } from "./drive.js";
import { codeOf, thrownCode } from "./support.js";
import { describeEngine, type World } from "./world.js";

/** A service, and an SDK for it. */
class Service {
  readonly posts: { text: string; key: string; token: string | undefined }[] = [];
  readonly failures: Error[] = [];
  made = 0;

  sdk(token: string | undefined) {
    this.made++;
    return {
      post: (text: string, key: string) => {
        const failure = this.failures.shift();
        if (failure !== undefined) throw failure;
        this.posts.push({ text, key, token });
        return { number: this.posts.length };
      },
    };
  }

  integration(options: { authSource?: "LOCAL" | "HOSTED"; retry?: false; id?: string } = {}) {
    return createIntegration({
      id: "board",
      ...options,
      client: (auth) => this.sdk(auth?.accessToken),
      tasks: {
        post: task(
          (sdk: ReturnType<Service["sdk"]>, params: { text: string }, { idempotencyKey }) =>
            sdk.post(params.text, idempotencyKey),
        ),
        deep: { er: { echo: task((_sdk: ReturnType<Service["sdk"]>, text: string) => text) } },
      },
      icon: "board",
      redact: { paths: ["number"] },
    });
  }
}

function jobWith(
  board: ReturnType<Service["integration"]>,
  run: (io: Io & { readonly board: ReturnType<typeof board.cloneForRun> }) => unknown,
) {
  return {
    id: "j",
    trigger: invokeTrigger(),
    integrations: { board },
    run: (_payload: unknown, io: Io & { readonly board: ReturnType<typeof board.cloneForRun> }) =>
      run(io),
  };
}

async function invoked(world: World, job: ReturnType<typeof jobWith>, accountId?: string) {
  const client = world.client();
  client.on("runFailed", () => {});
  client.defineJob(job);
  const { id } = await client.invoke("j", {}, accountId === undefined ? {} : { accountId });
  await client.drain();
  return { client, id };
}

describeEngine("integrations", (world) => {
  test("N2: each call of an SDK is a task, made once, with name, icon, params and what is hidden", async () => {
    const service = new Service();
    const { client, id } = await invoked(
      world(),
      jobWith(service.integration(), async (io) => {
        const first = await io.board.post("first", { text: "hello" });
        await io.wait("w", 60);
        return [first, await io.board.deep.er.echo("echo", "x")];
      }),
    );
    world().clock.advance(60);
    await client.drain();
    const run = await client.getRun(id, { tasks: true, taskDetails: true });
    expect(run).toMatchObject({ status: "COMPLETED", output: [{ number: 1 }, "x"] });
    expect(service.posts).toHaveLength(1);
    expect(service.posts[0]?.key).toMatch(/^[0-9a-f]{20,}$/);
    expect(run?.tasks?.[0]).toMatchObject({
      key: "first",
      name: "board post",
      icon: "board",
      params: { text: "hello" },
      output: { number: "[redacted]" },
    });
  });

  test("I23: runTask hands out the SDK itself, with the retries of the integration", async () => {
    const service = new Service();
    service.failures.push(new Error("busy"), new Error("busy"));
    const { client, id } = await invoked(
      world(),
      jobWith(service.integration(), (io) =>
        io.board.runTask(
          "raw",
          (sdk, { idempotencyKey }) => sdk.post("raw", idempotencyKey).number,
        ),
      ),
    );
    for (let step = 0; step < 5; step++) {
      world().clock.advance(5);
      await client.drain();
    }
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: 1 });
  });

  test("N4: an error may say when to try again, and retry: false means one attempt", async () => {
    const service = new Service();
    service.failures.push(new RetryAfterError(new Date(world().clock.now() + 3_600_000)));
    const { client, id } = await invoked(
      world(),
      jobWith(service.integration(), (io) => io.board.post("p", { text: "later" })),
    );
    world().clock.advance("59m");
    await client.drain();
    expect(service.posts).toHaveLength(0);
    world().clock.advance("1m");
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("COMPLETED");

    service.failures.push(new Error("no"));
    const once = world().client({ id: "once" });
    once.on("runFailed", () => {});
    once.defineJob({
      ...jobWith(service.integration({ retry: false }), (io) => io.board.post("p", { text: "x" })),
      id: "once",
    });
    const second = await once.invoke("once", {});
    await once.drain();
    expect((await once.getRun(second))?.status).toBe("FAILED");
  });

  test("a call belongs to the task that makes it, whichever used the integration first", async () => {
    const service = new Service();
    const { client, id } = await invoked(
      world(),
      jobWith(service.integration(), async (io) => {
        await io.runTask("parent", () => io.board.deep.er.echo("inside", "a"));
        await io.board.deep.er.echo("outside", "b");
        await Promise.all(
          ["p1", "p2"].map((key) => io.runTask(key, () => io.board.deep.er.echo("same", key))),
        );
      }),
    );
    const run = await client.getRun(id, { tasks: true });
    expect(run?.status).toBe("COMPLETED");
    const paths = run?.tasks?.flatMap(({ path, tasks = [] }) => [
      path,
      ...tasks.map((t) => t.path),
    ]);
    expect(paths).toEqual(["parent", "parent/inside", "outside", "p1", "p1/same", "p2", "p2/same"]);
    expect(service.made).toBe(1);
  });

  test("a crash between call and record repeats the call with the same idempotency key", async () => {
    const service = new Service();
    const job = jobWith(service.integration(), (io) => io.board.post("p", { text: "x" }));
    const { defineJob } = await import("pawl");
    const defined = defineJob(job);
    const dying = new Machine(world(), { jobs: [defined] });
    const survivor = world().client({ id: "survivor", jobs: [defined] });
    const { id } = await survivor.invoke("j", {});
    dying.dieAtCommit(1);
    void dying.client.start();
    await turns(40);
    expect(dying.isFrozen).toBe(true);
    world().clock.advance("1h");
    await survivor.drain();
    expect((await survivor.getRun(id))?.status).toBe("COMPLETED");
    expect(service.posts).toHaveLength(2);
    expect(new Set(service.posts.map(({ key }) => key)).size).toBe(1);
  });

  test("N1: an integration in the form of trigger.dev v2 plugs in, and gets its credentials", async () => {
    class Legacy {
      readonly id = "legacy";
      readonly metadata = { id: "legacy", name: "Legacy" };
      readonly authSource = "HOSTED" as const;
      cloneForRun(io: Io, connectionKey: string, auth?: { accessToken: string }) {
        return {
          say: (key: string, text: string) =>
            io.runTask(key, () => `${connectionKey} ${auth?.accessToken} ${text}`),
        };
      }
    }
    const client = world().client();
    const local = {
      ...new Legacy(),
      authSource: "LOCAL" as const,
      id: "local",
      cloneForRun: (_io: Io, key: string, auth?: unknown) => ({ auth: auth ?? key }),
    };
    client.defineAuthResolver("legacy", () => ({ type: "apiKey", token: "k1" }));
    client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      integrations: { old: new Legacy(), local },
      run: async (_payload, io) => `${await io.old.say("s", "hi")}, ${io.local.auth}`,
    });
    const { id } = await client.invoke("j", {});
    await client.drain();
    expect((await client.getRun(id))?.output).toBe("old k1 hi, local");
  });

  test("N3: a resolver is asked before run, at each execution, with the account of the run", async () => {
    const service = new Service();
    const asked: unknown[] = [];
    const board = service.integration({ authSource: "HOSTED" });
    const client = world().client();
    client.defineAuthResolver(board, async (context, integration) => {
      asked.push([context.account?.id, context.job.id, integration.id]);
      return { type: "oauth2", accessToken: `token of ${context.account?.id}` };
    });
    client.defineJob(jobWith(board, (io) => io.board.post("p", { text: "x" })));
    for (const accountId of ["ada", "bob"]) await client.invoke("j", {}, { accountId });
    await client.drain();
    expect(service.posts.map(({ token }) => token).sort()).toEqual([
      "token of ada",
      "token of bob",
    ]);
    expect(asked).toEqual(
      expect.arrayContaining([
        ["ada", "j", "board"],
        ["bob", "j", "board"],
      ]),
    );
    expect(asked).toHaveLength(2);
  });

  test("R4: a resolver that throws or gives nothing ends the run as UNRESOLVED_AUTH, with a message per key", async () => {
    let ran = 0;
    const of = (id: string): Integration => ({
      id,
      metadata: { id, name: id },
      authSource: "HOSTED",
      cloneForRun: () => ({}),
    });
    const client = world().client();
    const failed: string[] = [];
    client.on("runFailed", ({ status }) => failed.push(status));
    const good = { type: "apiKey", token: "t" } as const;
    let isMended = false;
    client.defineAuthResolver("throws", () => {
      if (isMended) return good;
      throw new Error("vault is closed");
    });
    client.defineAuthResolver("nothing", () => (isMended ? good : undefined));
    client.defineAuthResolver("wrong", () => (isMended ? good : ({ type: "apiKey" } as never)));
    client.defineAuthResolver("fine", () => good);
    const heard: string[] = [];
    client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      integrations: {
        a: of("throws"),
        b: of("nothing"),
        c: of("wrong"),
        d: of("none"),
        e: of("fine"),
      },
      onFailure: ({ status }) => heard.push(status),
      run: () => {
        ran++;
      },
    });
    const { id } = await client.invoke("j", {});
    await client.drain();
    const run = await client.getRun(id);
    expect(run).toMatchObject({
      status: "UNRESOLVED_AUTH",
      error: {
        code: "AUTH_UNRESOLVED",
        details: {
          problems: {
            a: "vault is closed",
            b: "its auth resolver gave nothing",
            c: expect.stringContaining("accessToken"),
            d: 'no auth resolver is defined for integration "none"',
          },
        },
      },
    });
    expect([ran, failed, heard]).toEqual([0, ["UNRESOLVED_AUTH"], ["UNRESOLVED_AUTH"]]);
    expect(await client.explainRun(id)).toContain("io.a: vault is closed");
    isMended = true;
    client.defineAuthResolver("none", () => good);
    await client.retryRun(id);
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("COMPLETED");
    expect(ran).toBe(1);
  });

  test("R3: a run waits on its connection, holds no slot, and goes on when it is ready", async () => {
    const service = new Service();
    const board = service.integration();
    const connected = new Set<string>();
    const client = world().client({ concurrency: 1 });
    client.defineAuthResolver(board, (context) =>
      connected.has(context.account?.id ?? "")
        ? { type: "apiKey", token: context.account?.id ?? "" }
        : notConnected,
    );
    client.defineJob(jobWith(board, (io) => io.board.post("p", { text: "x" })));
    const ids: string[] = [];
    for (const accountId of ["ada", "bob"])
      ids.push((await client.invoke("j", {}, { accountId })).id);
    await client.drain();
    const [ada = "", bob = ""] = ids;
    expect((await client.getRun(ada))?.status).toBe("WAITING_ON_CONNECTIONS");
    expect(await client.explainRun(ada)).toContain(
      'waits until board of account "ada" is connected. Connect it, then call client.connectionReady("board", { accountId: "ada" })',
    );
    connected.add("ada");
    const outsider = world().client({ id: "outsider" });
    expect(await outsider.connectionReady("board", { accountId: "ada" })).toEqual({ woken: 1 });
    await client.drain();
    expect((await client.getRun(ada))?.status).toBe("COMPLETED");
    expect((await client.getRun(bob))?.status).toBe("WAITING_ON_CONNECTIONS");
    expect(await client.connectionReady(board)).toEqual({ woken: 0 });
    await client.cancelRun(bob);
    expect((await client.getRun(bob))?.status).toBe("CANCELED");
  });

  test("R3: a connection that becomes ready while the resolver looks is not missed", async () => {
    const service = new Service();
    const board = service.integration();
    let looks = 0;
    const client = world().client();
    const outsider = world().client({ id: "outsider" });
    client.defineAuthResolver(board, async () => {
      if (++looks > 1) return { type: "apiKey", token: "t" };
      // It is connected at this moment, and nobody is parked yet.
      await outsider.connectionReady("board");
      return notConnected;
    });
    client.defineJob(jobWith(board, (io) => io.board.post("p", { text: "x" })));
    const { id } = await client.invoke("j", {});
    await client.drain();
    expect([(await client.getRun(id))?.status, looks]).toEqual(["COMPLETED", 2]);
  });

  test("R3: an app that forgets to say so is asked again after five minutes", async () => {
    const service = new Service();
    const board = service.integration();
    let isConnected = false;
    const client = world().client();
    client.defineAuthResolver(board, () =>
      isConnected ? { type: "apiKey", token: "t" } : notConnected,
    );
    client.defineJob(jobWith(board, (io) => io.board.post("p", { text: "x" })));
    const { id } = await client.invoke("j", {});
    await client.drain();
    isConnected = true;
    world().clock.advance("5m");
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", executionCount: 1 });
  });

  test("a resolver that answers after stop starts nothing: the run is given back", async () => {
    const service = new Service();
    const board = service.integration();
    const { opened, open } = gate();
    const job = jobWith(board, (io) => io.board.post("p", { text: "x" }));
    const stopping = world().client({ id: "stopping" });
    stopping.defineAuthResolver(board, async () => {
      await opened;
      return { type: "apiKey", token: "t" };
    });
    stopping.defineJob(job);
    await stopping.start();
    const { id } = await stopping.invoke("j", {});
    await turns(20);
    const stopped = stopping.stop();
    await turns(5);
    open();
    await stopped;
    expect(service.posts).toHaveLength(0);
    const next = world().client({ id: "next" });
    next.defineAuthResolver(board, () => ({ type: "apiKey", token: "t" }));
    next.defineJob(job);
    await next.drain();
    expect(await next.getRun(id)).toMatchObject({ status: "COMPLETED", executionCount: 1 });
  });

  test("N3: a second resolver for an integration is refused, and the first one stays", async () => {
    const service = new Service();
    const board = service.integration();
    const client = world().client();
    client.defineAuthResolver(board, () => ({ type: "apiKey", token: "first" }));
    const again = () =>
      client.defineAuthResolver("board", () => ({ type: "apiKey", token: "second" }));
    expect(thrownCode(again)).toBe("AUTH_RESOLVER_DUPLICATE");
    expect(again).toThrow(/"board".*reload: true/);
    client.defineAuthResolver("another board", () => undefined);
    client.defineJob(jobWith(board, (io) => io.board.post("p", { text: "x" })));
    await client.invoke("j", {});
    await client.drain();
    expect(service.posts).toMatchObject([{ token: "first" }]);
  });

  test("what cannot be is refused where it is written", async () => {
    const client = () => ({});
    const tasks = { a: task(() => 1) };
    const wrong: [unknown, string][] = [
      [{ id: "", client, tasks }, "OPTION_INVALID"],
      [{ id: "x", tasks }, "OPTION_INVALID"],
      [{ id: "x", client }, "OPTION_INVALID"],
      [{ id: "x", client, tasks: { a: 5 } }, "OPTION_INVALID"],
      [{ id: "x", client, tasks: { runTask: task(() => 1) } }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, authSource: "local" }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, onError: 1 }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, retry: { limit: -1 } }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, timeout: "soon" }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, timeout: 0 }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, forTask: {} }, "OPTION_INVALID"],
      [{ id: "x", client, tasks, retries: 1 }, "OPTION_UNKNOWN"],
    ];
    for (const [options, code] of wrong)
      expect(thrownCode(() => createIntegration(options as never))).toBe(code);
    expect(thrownCode(() => task(5 as never))).toBe("OPTION_INVALID");
    const here = world().client();
    expect(thrownCode(() => here.defineAuthResolver(5 as never, () => undefined))).toBe(
      "OPTION_INVALID",
    );
    expect(thrownCode(() => here.defineAuthResolver("x", 5 as never))).toBe("OPTION_INVALID");
    expect(await codeOf(here.connectionReady(""))).toBe("OPTION_INVALID");
    expect(await codeOf(here.connectionReady("x", { account: "a" } as never))).toBe(
      "OPTION_UNKNOWN",
    );
  });
});
