import { SPEC_VERSION, type Storage } from "../../core/storage.js";
import { has, rejects, same, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

function everyMethod(store: Fixture, storage: Storage): Record<string, () => Promise<unknown>> {
  return {
    init: () => storage.init({ clock: store.clock }),
    now: () => storage.now(),
    createRuns: () => storage.createRuns([]),
    claimRuns: () => storage.claimRuns(store.request({})),
    commit: () => storage.commit([]),
    getRuns: () => storage.getRuns(["a"]),
    listTasks: () => storage.listTasks("a", 0, 1),
    listSignals: () => storage.listSignals("a"),
    listWaiting: () => storage.listWaiting(["a"], { limit: 1 }),
    listRuns: () => storage.listRuns({ limit: 1 }),
    listLogs: () => storage.listLogs("a", { limit: 1 }),
    countRuns: () => storage.countRuns(),
    getValue: () => storage.getValue("a"),
    setValue: () => storage.setValue("a", ""),
    deleteValue: () => storage.deleteValue("a"),
    listValues: () => storage.listValues("", { limit: 1 }),
    purge: () => storage.purge({ finishedBefore: 0, dedupeUntil: 0, limit: 1 }),
    ...(storage.exportRuns && { exportRuns: async () => storage.exportRuns?.({ byteBudget: 1 }) }),
    ...(storage.importRuns && { importRuns: async () => storage.importRuns?.([]) }),
    ...(storage.subscribe && { subscribe: async () => storage.subscribe?.(() => {}) }),
    ...(storage.deliver && { deliver: async () => storage.deliver?.() }),
  };
}

export const lifecycle = topic("init and close", {
  async "the adapter names itself, its contract and what it can"(store) {
    that(store.a.name.length > 0, "there is a name");
    same(store.a.specVersion, SPEC_VERSION, "specVersion");
    const { limits, staleMs, maxElementBytes, maxElementTasks, maxValueBytes } =
      store.a.capabilities;
    same(typeof limits, "boolean", "limits");
    that(staleMs >= 0, "staleMs is not negative");
    const sizes = { maxElementBytes, maxElementTasks, maxValueBytes };
    for (const [name, size] of Object.entries(sizes)) that(size > 0, `${name} is positive`);
  },

  async "many instances may start at once, and again"(store) {
    const opened = await Promise.all(Array.from({ length: 5 }, () => store.openAnother()));
    await Promise.all(opened.map((storage) => storage.init({ clock: store.clock })));
    await Promise.all(opened.map((storage) => storage.init({ clock: store.clock })));
    const id = await store.create();
    for (const storage of opened) has(await store.get(id, storage), { id });
  },

  async "what one instance was told is durable is there for all others at once"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }), store.a);
    same((await store.tasks(run.id, store.b)).length, 1, "tasks");
    await store.ok(store.write(run, { run: { tags: ["x"] } }), store.b);
    has(await store.get(run.id, store.a), { tags: ["x"] });
  },

  async "data outlives the instances"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    await store.a.setValue("k", "v");
    await store.a.close();
    await store.b.close();
    const next = await store.openAnother();
    await next.init({ clock: store.clock });
    has(await store.get(run.id, next), { epoch: run.epoch, leaseUntil: run.leaseUntil });
    same((await store.tasks(run.id, next)).length, 1, "tasks");
    same(await next.getValue("k"), { value: "v", version: 1 });
  },

  async "after close every call is refused, but not another close"(store) {
    const storage = await store.openAnother();
    await storage.init({ clock: store.clock });
    await storage.close();
    await storage.close();
    for (const call of Object.values(everyMethod(store, storage)))
      await rejects(call, "STORAGE_CLOSED");
  },

  async "closing one instance is nothing to another"(store) {
    const storage = await store.openAnother();
    await storage.init({ clock: store.clock });
    await storage.close();
    for (const call of Object.values(everyMethod(store, store.a))) await call();
  },
});

export const clock = topic("the store's clock", {
  async "it goes on with time"(store) {
    const before = await store.a.now();
    await store.advance(1_234);
    that((await store.a.now()) - before >= 1_234, "time has passed");
  },

  async "it never goes back, whatever becomes of the wall clock"(store) {
    const before = await store.a.now();
    const run = await store.hold();
    store.clock.setWallTime(store.clock.now() - 3_600_000);
    that((await store.a.now()) >= before, "the instance that was there");
    const next = await store.openAnother();
    await next.init({ clock: store.clock });
    that((await next.now()) >= before, "an instance that opens later");
    that((await store.claim({}, next)).now >= before, "the answer to a claim");
    same(await store.claimJobOf(run.id, {}, next), [], "a lease is a lease");
  },

  async "a claim answers the instant by which it was decided"(store) {
    const before = await store.a.now();
    const { now } = await store.claim({});
    that(before <= now && now <= (await store.a.now()), "it lies between two others");
  },
});

export const ownership = topic("no reference is shared with the caller", {
  async "what was passed in may change afterwards"(store) {
    const tags = ["one"];
    const first = { ...store.newRun(), tags };
    const groups = [{ first }];
    await store.createElement({ groups });
    tags.push("two");
    first.payload = "changed";
    has(await store.get(first.id), { tags: ["one"], payload: "{}" });
    const run = await store.take(first.id);
    const topics = ["t"];
    const written = { ...task("w", 1, { status: "WAITING", topics }) };
    await store.ok(store.write(run, { tasks: [written] }));
    topics.push("u");
    written.output = "changed";
    has((await store.tasks(run.id))[0], { topics: ["t"], output: '"output of w"' });
  },

  async "what was answered is the caller's own"(store) {
    const run = await store.hold({ tags: ["one"] });
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    await store.send(run.id, { id: "s" });
    const answers = [
      await store.get(run.id),
      (await store.a.listTasks(run.id, 0, 1_000)).tasks[0],
      (await store.a.listSignals(run.id))[0],
    ];
    for (const answer of answers) spoil(answer);
    has(await store.get(run.id), { id: run.id, tags: ["one"], status: "EXECUTING" });
    has((await store.tasks(run.id))[0], { path: "t", seq: 1 });
    same(await store.signalIds(run.id), ["s"]);
  },
});

/** Frozen answers are as good. */
function spoil(answer: unknown): void {
  if (typeof answer !== "object" || answer === null) return;
  for (const value of Object.values(answer)) spoil(value);
  for (const name of Object.keys(answer)) Reflect.set(answer, name, "spoiled");
}

export const hints = topic(
  "subscribe",
  {
    async "a subscription ends when it is told to"(store) {
      const ends = await Promise.all([store.a, store.b].map((each) => each.subscribe?.(() => {})));
      await store.create();
      for (const end of ends) await end?.();
    },

    async "closing an instance with an open subscription is no trouble"(store) {
      const storage = await store.openAnother();
      await storage.init({ clock: store.clock });
      await storage.subscribe?.(() => {});
      await storage.close();
      await store.create();
    },
  },
  ({ subscribe }) => (subscribe === undefined ? "there is no subscribe" : undefined),
);
