import { describe, expect, test, vi } from "vitest";
import {
  createClient,
  createIntegration,
  defineJob,
  eventTrigger,
  invokeTrigger,
  task,
} from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { gate, turns } from "./drive.js";
import { codeOf, passingTime, thrownCode, until } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("hot reload", (world) => {
  test("a module that is evaluated twice makes one run per event, of the new code", async () => {
    const heard: string[] = [];
    const evaluate = (code: string) => {
      const client = world().client({ id: "app", reload: true });
      client.defineJob({
        id: "j",
        trigger: eventTrigger({ name: "e" }),
        run: async () => heard.push(code),
      });
      return client;
    };
    const first = evaluate("old");
    await first.start();
    const second = evaluate("new");
    await second.start();
    const { runIds } = await second.sendEvent({ name: "e" });
    await passingTime(world().clock, second.waitForRun(runIds[0] ?? ""));
    await second.drain();
    expect(runIds).toHaveLength(1);
    expect(heard).toEqual(["new"]);
    expect(await codeOf(first.sendEvent({ name: "e" }))).toBe("CLIENT_STOPPED");
  });

  test("a run that was parked by the old code goes on with the new code", async () => {
    const calls: string[] = [];
    const evaluate = (code: string) => {
      const client = world().client({ id: "parked", reload: true });
      client.defineJob({
        id: "j",
        trigger: invokeTrigger(),
        run: async (_payload, io) => {
          await io.runTask("a", () => calls.push(`${code} a`));
          await io.wait("day", "1d");
          await io.runTask("b", () => calls.push(`${code} b`));
        },
      });
      return client;
    };
    const first = evaluate("old");
    await first.invoke("j");
    await first.drain();
    const second = evaluate("new");
    world().clock.advance("1d");
    await second.drain();
    expect(calls).toEqual(["old a", "new b"]);
  });

  test("a task that the old code is in ends, and the run goes on with the new code", async () => {
    const calls: string[] = [];
    const door = gate();
    const evaluate = (code: string) => {
      const client = world().client({ id: "busy", reload: true });
      client.defineJob({
        id: "j",
        trigger: invokeTrigger(),
        run: async (_payload, io) => {
          await io.runTask("a", async () => {
            calls.push(`${code} a`);
            await door.opened;
          });
          await io.runTask("b", () => calls.push(`${code} b`));
        },
      });
      return client;
    };
    const first = evaluate("old");
    await first.start();
    const handle = await first.invoke("j");
    await until(() => calls.length === 1);
    const second = evaluate("new");
    door.open();
    await turns(100);
    await second.drain();
    expect(calls).toEqual(["old a", "new b"]);
    expect((await second.getRun(handle))?.status).toBe("COMPLETED");
  });

  test("a module with an auth resolver that is evaluated twice asks the new one", async () => {
    const api = createIntegration({
      id: "api",
      client: (auth) => auth?.accessToken,
      tasks: { who: task((token: string | undefined, _: undefined) => token) },
    });
    const evaluate = (code: string) => {
      const client = world().client({ id: "connected", reload: true });
      client.defineAuthResolver(api, () => ({ type: "apiKey", accessToken: code }));
      client.defineJob({
        id: "j",
        trigger: invokeTrigger(),
        integrations: { api },
        run: (_payload, io) => io.api.who("k", undefined),
      });
      return client;
    };
    const first = evaluate("old");
    const handle = await first.invoke("j", {}, { delay: "1m" });
    const second = evaluate("new");
    world().clock.advance("1m");
    await second.drain();
    expect((await second.getRun(handle))?.output).toBe("new");
  });

  test("many reloads in a row leave the last client, alone and working", async () => {
    let last = world().client({ id: "many", reload: true });
    for (let n = 0; n < 5; n++) {
      void last.start().catch(() => {});
      last = world().client({ id: "many", reload: true });
    }
    let calls = 0;
    const job = last.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => ++calls,
    });
    await last.start();
    const handle = await job.invoke({});
    await passingTime(world().clock, last.waitForRun(handle));
    expect(calls).toBe(1);
  });
});

describe("clients of one id in a process", () => {
  const job = () => defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "ran" });

  test("D2: a second client that defines the same job throws JOB_DUPLICATE, which names reload", async () => {
    const first = createClient({ id: "twice", storage: memory(), jobs: [job()] });
    const second = createClient({ id: "twice", storage: memory() });
    expect(() => second.attach(job())).toThrow(/"twice".*"j".*reload: true/s);
    expect(thrownCode(() => second.attach(job()))).toBe("JOB_DUPLICATE");
    second.attach(defineJob({ id: "other", trigger: invokeTrigger(), run: async () => {} }));
    await first.stop();
    second.attach(job());
    await second.stop();
  });

  test("D2: a client whose construction failed holds no place", () => {
    const first = createClient({ id: "failing", storage: memory(), jobs: [job()] });
    expect(
      thrownCode(() => createClient({ id: "failing", storage: memory(), jobs: [job()] })),
    ).toBe("JOB_DUPLICATE");
    expect(
      thrownCode(() => createClient({ id: "third", storage: memory(), jobs: [job(), job()] })),
    ).toBe("JOB_DUPLICATE");
    expect(thrownCode(() => createClient({ id: "third", storage: memory(), jobs: [job()] }))).toBe(
      "no error",
    );
    void first;
  });

  test("clients of different ids, and clients without one, do not know each other", () => {
    for (const id of ["one", "two"]) createClient({ id, storage: memory(), jobs: [job()] });
    for (let n = 0; n < 2; n++) createClient({ storage: memory(), jobs: [job()] });
  });

  test("reload on a storage that both clients share keeps the storage open", async () => {
    const storage = memory();
    const clock = new FakeClock();
    const first = createClient({ id: "shared", storage, clock, reload: true, jobs: [job()] });
    const handle = await first.invoke("j");
    const second = createClient({ id: "shared", storage, clock, reload: true, jobs: [job()] });
    await turns();
    await second.drain();
    expect(await second.getRun(handle)).toMatchObject({ output: "ran" });
    await second.stop();
  });
});

describe("two copies of the library in one process", () => {
  async function anotherCopy(): Promise<typeof import("../../src/index.js")> {
    vi.resetModules();
    return import("../../src/index.js");
  }

  test("find each other's clients by id, with and without reload", async () => {
    const other = await anotherCopy();
    expect(other.createClient).not.toBe(createClient);
    const define = (copy: typeof other) =>
      copy.defineJob({ id: "j", trigger: copy.invokeTrigger(), run: async () => "ran" });
    const first = createClient({ id: "copies", storage: memory() });
    first.attach(defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "ran" }));
    expect(
      thrownCode(() =>
        other.createClient({ id: "copies", storage: memory(), jobs: [define(other)] }),
      ),
    ).toBe("JOB_DUPLICATE");
    const second = other.createClient({
      id: "copies",
      storage: memory(),
      reload: true,
      jobs: [define(other)],
    });
    expect(await codeOf(first.stats())).toBe("CLIENT_STOPPED");
    await second.stop();
  });

  test("a job of one copy runs on a client of the other, and knows that it runs", async () => {
    const other = await anotherCopy();
    const child = other.defineJob({
      id: "child",
      trigger: other.invokeTrigger(),
      run: async (payload) => payload,
    });
    const client = createClient({ storage: memory(), clock: new FakeClock() });
    client.attach(child);
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async () => {
        const refused = await codeOf(client.sendEvent({ name: "e" }));
        const keyless = await codeOf(child.invoke({ n: 1 }));
        const result = await child.invokeAndWait("c", "x");
        return [refused, keyless, result.ok && result.output];
      },
    });
    const handle = await parent.invoke({});
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual([
      "KEY_REQUIRED",
      "INVOKE_KEY_REQUIRED",
      "x",
    ]);
    await client.stop();
  });

  test("an error of one copy is an error of the other", async () => {
    const other = await anotherCopy();
    const client = createClient({ storage: memory(), clock: new FakeClock() });
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) =>
        io.runTask(
          "t",
          () => {
            throw new other.NonRetriableError("never again");
          },
          { retry: { limit: 5 } },
        ),
    });
    client.on("runFailed", () => {});
    const handle = await client.invoke(job);
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({
      status: "FAILED",
      error: { message: "never again" },
    });
    await client.stop();
  });
});
