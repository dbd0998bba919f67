import {
  type Client,
  type ConnectionAuth,
  createClient,
  createIntegration,
  defineJob,
  eventTrigger,
  intervalTrigger,
  invokeTrigger,
  isPawlError,
  NonRetriableError,
  notConnected,
  type Storage,
  task,
} from "pawl";
import { copyStorage } from "pawl/adapter-kit";
import { expect } from "vitest";
import { z } from "zod";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { eventually } from "../eventually.js";

const auth: ConnectionAuth = { type: "apiKey", accessToken: "t" };
const bank = createIntegration({
  id: "bank",
  client: () => ({ pay: () => "paid" }),
  tasks: { pay: task((sdk: { pay(): string }, _: undefined) => sdk.pay()) },
});

export type Opener = (clock: FakeClock) => Storage;

/** Everything that Pawl does, begun on one store and ended on whatever `move` answers. */
export class MovingApp {
  readonly clock = new FakeClock();
  readonly troubles: unknown[] = [];
  /** What was done, outside of any store. */
  readonly #ledger: string[] = [];
  readonly #ids: Record<string, string> = {};
  readonly #dead: Storage[] = [];
  #dies = false;
  #isConnected = false;

  /** What became of it all: the same wherever it was. */
  async play(
    open: Opener,
    move: (open: Opener) => Promise<Opener>,
  ): Promise<Record<string, unknown>> {
    await this.#begin(open);
    const opened = await move(open);
    const answers = await this.#end(opened);
    for (const storage of this.#dead) await storage.close();
    return answers;
  }

  #client(storage: Storage, jobs: ReturnType<MovingApp["jobs"]>): Client {
    const client = createClient({
      storage,
      clock: this.clock,
      jobs,
      onError: (error) => this.troubles.push(error),
    });
    client.on("runFailed", () => {});
    client.defineAuthResolver(bank, (context) => {
      if (context.job.id === "refused") return undefined;
      return this.#isConnected ? auth : notConnected;
    });
    return client;
  }

  #did(what: string): string {
    this.#ledger.push(what);
    return what;
  }

  jobs() {
    const trigger = invokeTrigger();
    const did = (what: string) => () => this.#did(what);
    return [
      defineJob({
        id: "steps",
        trigger,
        onSuccess: () => void this.#did("steps: hook"),
        run: async (name: unknown, io) => {
          await io.logger.info(`begins ${String(name)}`);
          const first = await io.runTask("first", did(`steps ${name}: first`));
          await io.wait("hour", "1h");
          await io.store.env.increment("count", "steps");
          const second = await io.runTask("second", did(`steps ${name}: second`));
          return [first, second, await io.store.run.set("note", "note", name)];
        },
      }),
      defineJob({
        id: "held",
        trigger,
        concurrencyLimit: 1,
        run: async (name: unknown, io) => {
          await io.runTask("before", did(`held ${name}: before`));
          return io.runTask("in flight", () => {
            // The process is gone in the middle, and has done nothing yet.
            if (this.#dies) return new Promise<string>(() => {});
            return this.#did(`held ${name}: in flight`);
          });
        },
      }),
      defineJob({
        id: "approval",
        trigger,
        run: async (_, io) => {
          const token = await io.createToken("token");
          this.#ids.token = token.id;
          return io.waitForToken("approved", token);
        },
      }),
      defineJob({
        id: "paying",
        trigger,
        run: async (_, io) => {
          const paid = await io.waitForEvent("paid", { name: "paid", filter: { order: [7] } });
          return [paid.payload, await io.runTask("thank", did("paying: thank"))];
        },
      }),
      defineJob({
        id: "impatient",
        trigger,
        run: async (_, io) => {
          try {
            return await io.waitForEvent("never", { name: "never" }, { timeout: "3h" });
          } catch (error) {
            if (isPawlError(error, "WAIT_TIMEOUT")) return "too late";
            throw error;
          }
        },
      }),
      defineJob({
        id: "late",
        trigger,
        run: async (_, io) => {
          await io.wait("two-hours", "2h");
          return (await io.waitForEvent("early", { name: "early" })).payload;
        },
      }),
      defineJob({
        id: "parent",
        trigger,
        run: async (_, io) => {
          const results = await io.batchInvokeAndWait("children", "child", [
            { payload: "now" },
            { payload: "later" },
          ]);
          return results.map((result) => result.ok && result.output);
        },
      }),
      defineJob({
        id: "child",
        trigger,
        run: async (when: unknown, io) => {
          if (when === "later") await io.wait("half-hour", "30m");
          return io.runTask("child", did(`child ${when}`));
        },
      }),
      defineJob({
        id: "retrying",
        trigger,
        run: (_, io) =>
          io.runTask(
            "flaky",
            (own) => {
              this.#did(`retrying: attempt ${own.attempt}`);
              if (own.attempt < 3) throw new Error("not yet");
              return own.attempt;
            },
            { retry: { limit: 5, minTimeoutInMs: 1_200_000, factor: 1, randomize: false } },
          ),
      }),
      defineJob({
        id: "failing",
        trigger,
        onFailure: () => void this.#did("failing: hook"),
        run: (_, io) =>
          io.runTask("fails", () => {
            throw new NonRetriableError("no");
          }),
      }),
      defineJob({
        id: "slow",
        trigger,
        maxDuration: "10m",
        run: (_, io) => io.wait("day", "1d"),
      }),
      defineJob({
        id: "orders",
        trigger: eventTrigger({ name: "order", schema: z.object({ n: z.number() }) }),
        run: (order, io) => io.runTask("order", did(`order ${order.n}`)),
      }),
      defineJob({
        id: "reminded",
        trigger: eventTrigger({ name: "reminder" }),
        run: (_, io) => io.runTask("remind", did("reminded")),
      }),
      defineJob({
        id: "refused",
        trigger,
        integrations: { bank },
        run: (_, io) => io.bank.pay("pay", undefined),
      }),
      defineJob({
        id: "connecting",
        trigger,
        integrations: { bank },
        run: (_, io) => io.bank.pay("pay", undefined),
      }),
      defineJob({
        id: "ticking",
        trigger: intervalTrigger({ seconds: 1_800 }),
        run: ({ ts }, io) => io.runTask("tick", did(`tick ${ts.toISOString()}`)),
      }),
      defineJob({
        id: "quiet",
        trigger,
        debounce: { period: "1h" },
        run: (n: unknown, io) => io.runTask("quiet", did(`quiet ${n}`)),
      }),
      defineJob({
        id: "rationed",
        trigger,
        rateLimit: { limit: 1, period: "4h" },
        run: (_, io) => io.runTask("ration", did("ration")),
      }),
    ];
  }

  async #begin(open: Opener): Promise<void> {
    const storage = open(this.clock);
    const client = this.#client(storage, this.jobs());
    const invoke = async (job: string, payload: unknown = null, options = {}) => {
      const { id } = await client.invoke(job, payload, options);
      this.#ids[job] ??= id;
    };
    await client.invoke("steps", "purged", { idempotencyKey: "purged" });
    await client.drain();
    this.clock.advance("2h");
    await client.drain();
    this.clock.advance("1m");
    await client.purge({ olderThan: 0, dedupeRetention: "30d" });
    await client.store.env.set("setting", { of: "the app" });
    await client.store.env.delete("setting");
    await client.store.env.set("setting", "kept");

    for (const job of ["approval", "paying", "impatient", "late", "parent", "retrying"])
      await invoke(job);
    for (const job of ["failing", "slow", "refused", "connecting", "rationed"]) await invoke(job);
    await invoke("steps", "waiting", { idempotencyKey: "steps", tags: ["tagged"] });
    await invoke("quiet", 1);
    await invoke("quiet", 2);
    await client.sendEvent({ name: "order", id: "order-1", payload: { n: 1 } });
    await client.sendEvent({ name: "order", payload: { n: "wrong" } as never });
    await client.sendEvent({ name: "reminder", id: "r" }, { deliverAfter: "90m" });
    const { id } = await client.invoke("steps", "cancelled");
    await client.drain();
    await client.cancelRun(id);
    await client.sendEvent({ name: "early", payload: "early" });
    this.clock.advance("10m");
    await client.drain();
    await client.stop();

    await this.#die(open);
    const sender = this.#client(open(this.clock), this.jobs());
    await sender.invoke("steps", "queued");
    await sender.invoke("held", "second");
    await sender.invoke("steps", "delayed", { delay: "1h" });
    await sender.sendEvent({ name: "order", id: "order-2", payload: { n: 2 } });
    await this.#expectEveryStatus(sender);
    await sender.stop();
  }

  /** A worker that is gone in the middle of a task: its storage never answers again. */
  async #die(open: Opener): Promise<void> {
    const inner = open(this.clock);
    this.#dead.push(inner);
    let isDead = false;
    const storage = new Proxy(inner, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) =>
          isDead ? new Promise(() => {}) : Reflect.apply(member, target, args);
      },
    });
    const worker = this.#client(storage, this.jobs());
    await worker.start();
    this.#dies = true;
    const { id } = await worker.invoke("held", "first");
    await eventually(async () => this.#ledger.includes("held first: before"));
    await eventually(async () => (await worker.getRun(id, { tasks: true }))?.tasks?.length === 1);
    await eventually(async () => (await inner.listTasks(id, 0, 1_000)).tasks.length > 0);
    isDead = true;
  }

  async #expectEveryStatus(client: Client): Promise<void> {
    const { runs } = await client.getRuns({ take: 1_000 });
    const statuses = new Set(runs.map(({ status }) => status));
    expect([...statuses].sort()).toEqual([
      "CANCELED",
      "COMPLETED",
      "EXECUTING",
      "FAILED",
      "INVALID_PAYLOAD",
      "PENDING",
      "QUEUED",
      "TIMED_OUT",
      "UNRESOLVED_AUTH",
      "WAITING",
      "WAITING_ON_CONNECTIONS",
    ]);
  }

  async #end(open: Opener): Promise<Record<string, unknown>> {
    this.#dies = false;
    const storage = open(this.clock);
    const client = this.#client(storage, this.jobs());
    const known = (handle: { readonly id: string }, job: string) => handle.id === this.#ids[job];
    const answers: Record<string, unknown> = {
      sameKey: known(await client.invoke("steps", "waiting", { idempotencyKey: "steps" }), "steps"),
      purgedKey: await client
        .invoke("steps", "other", { idempotencyKey: "purged" })
        .catch((error: unknown) => isPawlError(error) && error.code),
      sameEvent: (await client.sendEvent({ name: "order", id: "order-1", payload: { n: 1 } }))
        .runIds.length,
      rationed: await client
        .invoke("rationed")
        .catch((error: unknown) => isPawlError(error) && error.code),
      setting: await client.store.env.get("setting"),
      tagged: (await client.getRuns({ tag: "tagged" })).runs.length,
    };
    await client.drain();
    // The run that was in flight is its holder's until the lease has run out.
    answers.atOnce = this.#ledger.filter((line) => line.startsWith("held"));
    this.#isConnected = true;
    await client.connectionReady(bank);
    await client.completeToken(this.#ids.token ?? "", "yes");
    await client.sendEvent({ name: "paid", payload: { order: 6 } });
    await client.sendEvent({ name: "paid", payload: { order: 7 } });
    for (let step = 0; step < 60; step++) {
      await client.drain();
      this.clock.advance("5m");
    }
    await client.drain();
    await client.retryRun(this.#ids.failing ?? "");
    await client.drain();
    const { runs } = await client.getRuns({ take: 1_000 });
    const described = [];
    for (const { id } of runs) {
      const run = await client.getRun(id, { tasks: true });
      const tasks = run?.tasks?.map(({ path, status, attempts }) => ({ path, status, attempts }));
      const { jobId, status, output, attempt, createdAt } = run ?? {};
      described.push(JSON.stringify({ jobId, status, output, attempt, createdAt, tasks }));
    }
    const lines = await storage.listLogs(this.#ids.steps ?? "", { limit: 9 });
    answers.logs = lines.map(({ message }) => message);
    answers.runs = described.sort();
    answers.ledger = [...this.#ledger].sort();
    await client.stop();
    return answers;
  }
}

/** Played in two stores of one kind, once as it is and once copied to a third between: the same comes of it. */
export async function expectToGoOnElsewhere(
  source: () => Opener,
  target: () => Opener,
): Promise<void> {
  const unmoved = await new MovingApp().play(source(), async (open) => open);
  const app = new MovingApp();
  const moved = await app.play(source(), async (open) => {
    const to = target();
    const { held, runs } = await copyStorage(open(app.clock), to(app.clock));
    expect(held).toBe(1);
    expect(runs).toBeGreaterThan(20);
    return to;
  });
  expect(moved).toEqual(unmoved);
  expect(app.troubles).toEqual([]);
}
