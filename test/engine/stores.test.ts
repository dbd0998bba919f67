import { expect, test } from "vitest";
import type { CommitResult, RunWrite } from "../../src/core/storage.js";
import { type Codec, createClient, defaultCodec, type Io, type Storage } from "../../src/index.js";
import { gate, jobOf, Machine, runToEnd, start } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

type Commit = Storage["commit"];

/** A storage whose commits go through `through`. */
function withCommit(
  storage: Storage,
  through: (commit: Commit, writes: readonly RunWrite[]) => Promise<readonly CommitResult[]>,
): Storage {
  const commit: Commit = (writes) => storage.commit(writes);
  return new Proxy(storage, {
    get(target, name) {
      if (name === "commit") return (writes: readonly RunWrite[]) => through(commit, writes);
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

const hasValues = ({ values = [] }: RunWrite) => values.length > 0;

const refused: CommitResult = {
  result: "rejected",
  reason: "no room",
  epoch: 0,
  status: "PENDING",
  inbox: 0,
  leaseUntil: null,
};

class Money {
  readonly cents: number;

  constructor(cents: number) {
    this.cents = cents;
  }
}

const jsonCodec: Codec = {
  encode: (value) => JSON.stringify(value) ?? "null",
  decode: (text) => JSON.parse(text),
};

const classCodec: Codec = {
  encode: (value, what) =>
    value instanceof Money ? `money ${value.cents}` : defaultCodec.encode(value, what),
  decode: (text) =>
    text.startsWith("money ") ? new Money(Number(text.slice(6))) : defaultCodec.decode(text),
};

let salt = 0;
/** As one that encrypts. */
const saltedCodec: Codec = {
  encode: async (value, what) => `${++salt} ${defaultCodec.encode(value, what)}`,
  decode: async (text) => defaultCodec.decode(text.slice(text.indexOf(" ") + 1)),
};

describeEngine("io.store", (world) => {
  test("I19: each of the three stores sets, gets, has and deletes, and keeps rich values", async () => {
    const run = await runToEnd(world(), async (io) => {
      const seen: unknown[] = [];
      for (const place of ["env", "job", "run"] as const) {
        const store = io.store[place];
        seen.push(
          await store.get([place, 1], "v"),
          await store.has([place, 2], "v"),
          await store.set([place, 3], "v", { at: new Date(5), in: place }),
          await store.get([place, 4], "v"),
          await store.has([place, 5], "v"),
          await store.delete([place, 6], "v"),
          await store.delete([place, 7], "v"),
          await store.get([place, 8], "v"),
        );
      }
      return seen;
    });
    const of = (place: string) => {
      const value = { at: new Date(5), in: place };
      return [undefined, false, value, value, true, true, false, undefined];
    };
    expect(run.output).toEqual([...of("env"), ...of("job"), ...of("run")]);
  });

  test("I19: a replay sees what the first execution saw, whatever has changed since", async () => {
    const seen: unknown[] = [];
    const run = await start(world(), async (io) => {
      seen.push(await io.store.env.get("before", "v"));
      await io.store.run.set("own", "n", seen.length);
      await io.wait("park", 60);
      seen.push(await io.store.run.get("own-after", "n"));
      return io.store.env.get("after", "v");
    });
    await run.client.store.env.set("v", "first");
    await run.drain();
    await run.client.store.env.set("v", "second");
    world().clock.advance(60);
    expect((await run.drain()).output).toBe("second");
    expect(new Set(seen)).toEqual(new Set(["first", 1]));
  });

  test("I19: env is shared by all, job by the runs of a job, run by nobody", async () => {
    const write = jobOf(async (io) => {
      for (const place of ["env", "job", "run"] as const)
        await io.store[place].set(place, "v", place);
    });
    const look = async (io: Parameters<Parameters<typeof jobOf>[0]>[0]) => [
      await io.store.env.get("e", "v"),
      await io.store.job.get("j", "v"),
      await io.store.run.get("r", "v"),
    ];
    const client = world().client({
      jobs: [write, jobOf(look, { id: "other" }), jobOf(look, { id: "job-2" })],
    });
    await client.invoke("job", {});
    await client.drain();
    const { id } = await client.invoke("other", {});
    await client.drain();
    expect((await client.getRun(id))?.output).toEqual(["env", undefined, undefined]);
    expect(await client.store.env.get("v")).toBe("env");
  });

  test("I19: runs that increment one value at the same time each count once", async () => {
    const count = jobOf(async (io) => {
      await io.store.env.increment("e", "count");
      await Promise.all([
        io.store.job.increment("j1", "count", 2),
        io.store.job.increment("j2", "count", 3),
        io.store.run.increment("r1", "count"),
        io.store.run.increment("r2", "count"),
      ]);
      return io.store.run.get("r", "count");
    });
    const clients = [0, 1, 2].map((n) => world().client({ id: `c${n}`, jobs: [count] }));
    const [client] = clients;
    if (client === undefined) throw new Error("no client");
    const ids = [];
    for (let n = 0; n < 12; n++) ids.push((await client.invoke("job", {})).id);
    await Promise.all(clients.map((each) => each.drain()));
    await Promise.all(clients.map((each) => each.drain()));
    for (const id of ids) expect((await client.getRun(id))?.output).toBe(2);
    expect(await client.store.env.get("count")).toBe(12);
    expect(await client.store.env.increment("count", -2)).toBe(10);
  });

  test("I19: undefined is a value, which has tells from none and compare-and-set does not", async () => {
    const run = await start(world(), async (io) => {
      const seen: unknown[] = [];
      for (const place of ["env", "job", "run"] as const) {
        const store = io.store[place];
        seen.push([
          await store.set([place, 1], "v", undefined),
          await store.has([place, 2], "v"),
          await store.get([place, 3], "v"),
          await store.compareAndSet([place, 4], "v", null, 1),
          await store.compareAndSet([place, 5], "v", undefined, 2),
          await store.compareAndSet<unknown>([place, 6], "v", 2, undefined),
          await store.delete([place, 7], "v"),
          await store.compareAndSet([place, 8], "v", null, 3),
          await store.compareAndSet([place, 9], "v", undefined, 4),
          await store.get([place, 10], "v"),
        ]);
      }
      return seen;
    });
    const expected = [undefined, true, undefined, false, true, true, true, false, true, 4];
    expect((await run.drain()).output).toEqual([expected, expected, expected]);
    const { env } = run.client.store;
    await env.set("w", undefined);
    expect([await env.has("w"), await env.get("w")]).toEqual([true, undefined]);
    expect(await env.compareAndSet("w", undefined, 1)).toBe(true);
  });

  test.for([
    ["knows a class", classCodec, new Money(5), new Money(6)],
    ["loses what a date is", jsonCodec, new Date(5), new Date(6)],
    ["gives another text each time", saltedCodec, { at: new Date(5) }, { at: new Date(6) }],
  ] as const)(
    "I19: compare-and-set compares as the client's codec stores, one that %s",
    async ([, codec, value, other]) => {
      const program = async (io: Io) => {
        const seen: boolean[] = [];
        for (const place of ["env", "run"] as const) {
          const store = io.store[place];
          await store.set([place, 1], "v", value);
          seen.push(
            await store.compareAndSet([place, 2], "v", other, value),
            await store.compareAndSet<unknown>([place, 3], "v", value, other),
            await store.compareAndSet<unknown>([place, 4], "v", other, value),
            await store.compareAndSet<unknown>([place, 5], "v", undefined, other),
          );
        }
        return seen.join();
      };
      const run = await start(world(), program, { client: { codec } });
      expect((await run.drain()).output).toBe(Array(2).fill("false,true,true,false").join());
      const { env } = run.client.store;
      expect(await env.compareAndSet<unknown>("v", other, 1)).toBe(false);
      expect(await env.compareAndSet<unknown>("v", value, 1)).toBe(true);
    },
  );

  test("I19, C13: compare-and-set lets one of many through, in runs and outside", async () => {
    const claim = jobOf(async (io, context) =>
      io.store.env.compareAndSet("claim", "leader", undefined, context.run.id),
    );
    const client = world().client({ jobs: [claim] });
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push((await client.invoke("job", {})).id);
    await client.drain();
    const won = [];
    for (const id of ids) if ((await client.getRun(id))?.output === true) won.push(id);
    expect(won).toEqual([await client.store.env.get("leader")]);
    const { env } = client.store;
    expect(await env.compareAndSet("leader", "somebody", "me")).toBe(false);
    expect(await env.compareAndSet<unknown>("leader", won[0], { v: [1] })).toBe(true);
    expect(await env.compareAndSet<unknown>("leader", { v: [1] }, "me")).toBe(true);
    expect(await env.has("leader")).toBe(true);
    expect(await env.delete("leader")).toBe(true);
    expect(await env.delete("leader")).toBe(false);
    expect(await env.has("leader")).toBe(false);
  });

  test("a process that dies at any commit neither loses an increment nor counts it twice", async () => {
    for (let commit = 1; commit <= 8; commit++) {
      const job = jobOf(
        async (io) => {
          for (let n = 0; n < 3; n++) {
            await io.store.env.increment(["e", n], `env-${commit}`);
            await io.store.run.increment(["r", n], "own");
          }
          return io.store.run.get("end", "own");
        },
        { maxExecutionsWithoutProgress: 100 },
      );
      const dying = new Machine(world(), { jobs: [job] });
      const survivor = world().client({ id: `survivor-${commit}`, jobs: [job] });
      const { id } = await survivor.invoke("job", {});
      dying.dieAtCommit(commit);
      void dying.client.start();
      await until(() => dying.isFrozen);
      world().clock.advance("1h");
      await survivor.drain();
      expect(await survivor.getRun(id)).toMatchObject({ status: "COMPLETED", output: 3 });
      expect(await survivor.store.env.get(`env-${commit}`)).toBe(3);
    }
  });

  test("a comparison that fails refuses no record of the run's other branches", async () => {
    const other = world().client({ id: "other" });
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      const counting = (async () => {
        for (let n = 0; n < 10; n++) await io.store.env.increment(["i", n], "contended");
      })();
      const working = (async () => {
        for (let n = 0; n < 10; n++) {
          await io.runTask(["t", n], async () => {
            calls++;
            await other.store.env.increment("contended");
          });
        }
      })();
      await Promise.all([counting, working]);
    });
    expect(run.status).toBe("COMPLETED");
    expect(calls).toBe(10);
    expect(await other.store.env.get("contended")).toBe(20);
  });

  test("a run that is cancelled while its increment is on its way holds up no other run's", async () => {
    const sent = gate();
    const goes = gate();
    const storage = withCommit(world().storage(), async (commit, writes) => {
      if (writes.some(hasValues)) {
        sent.open();
        await goes.opened;
      }
      return commit(writes);
    });
    const job = jobOf((io) => io.store.env.increment("i", "n"));
    const client = world().client({ storage, jobs: [job] });
    const first = await client.invoke(job, {});
    const draining = client.drain();
    await sent.opened;
    await world().client().cancelRun(first);
    goes.open();
    await draining;
    const second = await client.invoke(job, {});
    await client.drain();
    expect(await client.getRun(second)).toMatchObject({ status: "COMPLETED", output: 1 });
  });

  test("a run whose increment the storage refuses holds up no other run's", async () => {
    let refusals = 1;
    const storage = withCommit(world().storage(), async (commit, writes) => {
      if (refusals === 0 || !writes.some(hasValues)) return commit(writes);
      refusals--;
      return writes.map(() => refused);
    });
    const job = jobOf((io) => io.store.env.increment("i", "n"));
    const client = world().client({ storage, jobs: [job] });
    const first = await client.invoke(job, {});
    await client.drain();
    const second = await client.invoke(job, {});
    await client.drain();
    expect(await client.getRun(second)).toMatchObject({ status: "COMPLETED", output: 1 });
    world().clock.advance("2m");
    await client.drain();
    expect(await client.getRun(first)).toMatchObject({ status: "COMPLETED", output: 2 });
  });

  test("what cannot be is refused with a code, and the run may go on", async () => {
    const run = await start(
      world(),
      async (io) => [
        await codeOf(io.store.env.set("a", "", 1)),
        await codeOf(io.store.env.get("b", 5 as never)),
        await codeOf(io.store.job.set("c", "f", () => {})),
        await codeOf(io.store.run.set("d", "big", "x".repeat(2_000))),
        await codeOf(io.store.env.increment("e", "text")),
        await codeOf(io.store.env.increment("f", "n", Number.NaN)),
        await codeOf(run.client.store.env.set("g", 1)),
        await codeOf(io.store.env.get("e", "twice")),
      ],
      { client: { caps: { storeValueBytes: 1_000 } } },
    );
    await run.client.store.env.set("text", "no number");
    expect((await run.drain()).output).toEqual([
      "OPTION_INVALID",
      "OPTION_INVALID",
      "VALUE_NOT_SERIALIZABLE",
      "VALUE_TOO_LARGE",
      "STORE_VALUE_INVALID",
      "OPTION_INVALID",
      "KEY_REQUIRED",
      "KEY_DUPLICATE",
    ]);
  });

  test("a failed increment is decided afresh when the run is retried", async () => {
    const run = await start(world(), (io) => io.store.env.increment("i", "n"));
    await run.client.store.env.set("n", "text");
    expect((await run.drain()).status).toBe("FAILED");
    await run.client.store.env.set("n", 4);
    await run.client.retryRun(run.id);
    expect((await run.drain()).output).toBe(5);
  });

  test("the run's own values go with the run", async () => {
    const run = await start(world(), (io) => io.store.run.set("s", "n", 1));
    await run.drain();
    world().clock.advance("1h");
    await run.client.purge({ olderThan: "1m" });
    expect(await run.client.getRun(run.id)).toBeUndefined();
  });

  test("an attempt that meets the increment of the one before, still on its way and then refused, counts itself", async () => {
    const { opened, open } = gate();
    let changes = 0;
    const storage = new Proxy(world().storage(), {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          const writes = name === "commit" ? (args[0] as { values?: unknown[] }[]) : [];
          if (writes.some(({ values }) => values !== undefined) && ++changes <= 2) {
            // Somebody else is faster, the second time while the next attempt waits for this one.
            if (changes === 2) await opened;
            const { value = "0" } = (await target.getValue("store:env/n")) ?? {};
            await target.setValue("store:env/n", String(Number(value) + 1));
          }
          return Reflect.apply(member, target, args);
        };
      },
    });
    const job = jobOf((io) =>
      io.runTask(
        "parent",
        async ({ attempt }, inner) => {
          const increment = inner.store.env.increment("i", "n");
          if (attempt === 2) setImmediate(open);
          if (attempt === 1) throw new Error("leaves it open");
          return increment;
        },
        { retry: { limit: 2, minTimeoutInMs: 0, randomize: false } },
      ),
    );
    const client = createClient({
      storage,
      clock: world().clock,
      maxParked: world().maxParked,
      jobs: [job],
    });
    const { id } = await client.invoke("job", {});
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: 3 });
    expect([changes, await client.store.env.get("n")]).toEqual([3, 3]);
    await client.stop();
  });
});
