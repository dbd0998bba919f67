import { finalStatuses } from "../../core/run-status.js";
import { type CreatedRun, NEVER, type NewRun, type Storage } from "../../core/storage.js";
import { has, same, sameSet } from "./check.js";
import type { Fixture } from "./fixture.js";
import { topic } from "./topic.js";

/** What is answered about the first runs of a call. */
async function answers(store: Fixture, first: NewRun, storage?: Storage): Promise<CreatedRun[]> {
  const result = await store.createElement({ groups: [{ first }] }, storage);
  same(result.result, "ok", "createRuns");
  return result.result === "ok" ? result.groups.map((group) => group.first) : [];
}

export const creation = topic("createRuns", {
  async "a run is stored with all its columns"(store) {
    const wakeAt = await store.in(5);
    const columns = {
      jobId: "job",
      version: "1.2.3",
      status: "WAITING_ON_CONNECTIONS",
      payload: '{"a":1}',
      admitted: '{"a":2}',
      output: "o",
      error: "e",
      priority: -3,
      limitKeys: ["l/x", "m/y"],
      tags: ["one", "two"],
      deadlineAt: wakeAt + 1,
      maxDurationMs: 60_000,
      eventId: "event",
      parentId: "parent",
      parentPath: "path/to",
      idempotencyKey: "key",
      fingerprint: "print",
      isTest: true,
      meta: "m",
      state: "s",
    } as const;
    const id = await store.create({ ...columns, wakeAt });
    same(await store.get(id), {
      id,
      ...columns,
      epoch: 0,
      generation: 1,
      workerId: null,
      leaseUntil: null,
      dueAt: wakeAt,
      blocked: null,
      executionCount: 0,
      stalls: 0,
      lastSeq: 0,
      inbox: 0,
      createdAt: await store.a.now(),
      startedAt: null,
      finishedAt: null,
    });
  },

  async "what is left out is null, empty or zero"(store) {
    const id = await store.create({ payload: null, wakeAt: null });
    has(await store.get(id), {
      payload: null,
      admitted: null,
      output: null,
      error: null,
      priority: 0,
      limitKeys: [],
      tags: [],
      dueAt: NEVER,
      deadlineAt: null,
      maxDurationMs: null,
      eventId: null,
      parentId: null,
      parentPath: null,
      idempotencyKey: null,
      fingerprint: null,
      isTest: false,
      meta: null,
      state: null,
    });
  },

  async "an id is given once, and its second user gets the first run's facts"(store) {
    const first = store.newRun({ fingerprint: "first" });
    const [made] = await answers(store, first);
    has(made, { id: first.id, created: true, fingerprint: "first", leaseUntil: null });
    await store.advance(5);
    const [found] = await answers(store, { ...first, fingerprint: "second", payload: "second" });
    same(found, { ...made, created: false });
    has(await store.get(first.id), { payload: "{}", fingerprint: "first" });
  },

  async "an idempotency key belongs to one run of its job"(store) {
    const key = { jobId: "job", idempotencyKey: "key" };
    const first = store.newRun({ ...key, fingerprint: "first" });
    await answers(store, first);
    const [found] = await answers(store, store.newRun({ ...key, fingerprint: "second" }));
    has(found, { id: first.id, created: false, fingerprint: "first" });
    const [other] = await answers(store, store.newRun({ ...key, jobId: "other" }));
    has(other, { created: true });
    const [without] = await answers(store, store.newRun({ jobId: "job" }));
    has(without, { created: true });
  },

  async "an idempotency key is free again when it expires"(store) {
    const key = { jobId: "job", idempotencyKey: "key" };
    const idempotencyExpiresAt = await store.in(100);
    const first = await store.create({ ...key, idempotencyExpiresAt });
    await store.advance(99);
    has((await answers(store, store.newRun(key)))[0], { id: first, created: false });
    await store.advance(1);
    const next = store.newRun(key);
    has((await answers(store, next))[0], { id: next.id, created: true });
    has((await answers(store, store.newRun(key)))[0], { id: next.id, created: false });
    has(await store.get(first), { idempotencyKey: "key" });
  },

  async "a group's further runs are made only if its first is new; other groups do not care"(
    store,
  ) {
    const known = await store.create();
    const [lost, made] = [store.newRun(), store.newRun()];
    const result = await store.createElement({
      groups: [
        { first: store.newRun({ id: known }), further: [lost] },
        { first: store.newRun(), further: [made] },
      ],
    });
    const created = result.result === "ok" ? result.groups.map(({ first }) => first.created) : [];
    same(created, [false, true]);
    const found = await store.a.getRuns([lost.id, made.id]);
    same(
      found.map((run) => run?.id),
      [undefined, made.id],
    );
  },

  async "a further run that is there already is left as it is"(store) {
    const known = await store.create({ payload: "known" });
    const further = [store.newRun({ id: known, payload: "new" }), store.newRun()];
    const result = await store.createElement({ groups: [{ first: store.newRun(), further }] });
    const created =
      result.result === "ok" ? result.groups[0]?.further.map((run) => run.created) : [];
    same(created, [false, true]);
    has(await store.get(known), { payload: "known" });
  },

  async "of many that create one run at the same time one does"(store) {
    for (let round = 0; round < 5; round += 1) {
      const run = store.newRun();
      const all = await Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          answers(store, { ...run, payload: `${n}` }, n % 2 ? store.a : store.b),
        ),
      );
      const makers = all.flatMap(([made], n) => (made?.created ? [`${n}`] : []));
      same(makers, [(await store.get(run.id)).payload], "makers");
    }
  },

  async "of many that use one idempotency key at the same time one makes a run"(store) {
    const key = { jobId: "job", idempotencyKey: "key" };
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        answers(store, store.newRun(key), n % 2 ? store.a : store.b),
      ),
    );
    same(all.filter(([made]) => made?.created).length, 1, "makers");
    same(new Set(all.map(([made]) => made?.id)).size, 1, "different runs");
  },

  async "an expectation that holds is no hindrance, one that does not is a conflict"(store) {
    const { version } = await store.a.setValue("registry", "1");
    const result = async (key: string, expected: number) => {
      const groups = [{ first: store.newRun() }];
      const expect = [{ key, version: expected }];
      return (await store.createElement({ groups, expect })).result;
    };
    same(await result("registry", version), "ok");
    same(await result("registry", version + 1), "conflict");
    same(await result("registry", 0), "conflict");
    same(await result("nothing", 0), "ok");
    same(await result("nothing", 1), "conflict");
  },

  async "values are written with the runs, or neither is"(store) {
    const create = async (first: NewRun, expected: number, createId = store.id("create")) => {
      const values = [{ key: "counter", value: first.id, expected }];
      return store.createElement({ createId, groups: [{ first }], values });
    };
    const one = store.newRun();
    same((await create(one, 0, "once")).result, "ok");
    const { version = 0 } = (await store.a.getValue("counter")) ?? {};
    has(await store.a.getValue("counter"), { value: one.id });
    const two = store.newRun();
    same((await create(two, version + 1)).result, "conflict");
    same(await store.a.getRuns([two.id]), [undefined], "a run in spite of the conflict");
    same((await create(one, 0, "once")).result, "ok", "repeated");
    has(await store.a.getValue("counter"), { value: one.id, version });
  },

  async "an element whose first runs are there makes and writes nothing, whatever the values are"(
    store,
  ) {
    const id = await store.create({ jobId: "job", idempotencyKey: "key" });
    for (const first of [
      store.newRun({ id }),
      store.newRun({ jobId: "job", idempotencyKey: "key" }),
    ]) {
      for (const expected of [0, 7]) {
        const values = [{ key: "counter", value: "1", expected }];
        const expect = [{ key: "registry", version: expected }];
        const result = await store.createElement({ groups: [{ first }], values, expect });
        const found = result.result === "ok" ? result.groups[0]?.first : undefined;
        same([result.result, found?.id, found?.created], ["ok", id, false], "answer");
      }
    }
    same(await store.a.getValue("counter"), undefined, "value");
  },

  async "a run created leased is held from the start"(store) {
    const lease = { workerId: "me", leaseMs: store.leaseMs };
    const first = store.newRun({ lease, wakeAt: null });
    const [made] = await answers(store, first);
    const now = await store.a.now();
    same(made?.leaseUntil, now + store.leaseMs, "leaseUntil");
    has(await store.get(first.id), {
      status: "EXECUTING",
      epoch: 1,
      workerId: "me",
      leaseUntil: now + store.leaseMs,
      dueAt: now + store.leaseMs,
      executionCount: 1,
      startedAt: now,
    });
    same(await store.claimJobOf(first.id), [], "claimed by another");
    await store.ok(store.write({ id: first.id, epoch: 1 }, { run: { tags: ["x"] } }));
  },

  async "a run created leased is due when its lease runs out"(store) {
    const lease = { workerId: "me", leaseMs: store.leaseMs };
    const id = await store.create({ lease, wakeAt: null });
    await store.advance(store.leaseMs);
    has(await store.take(id), { epoch: 2, executionCount: 2, stalls: 1 });
  },

  async "a run created with a final status is over at once"(store) {
    for (const status of finalStatuses) {
      const id = await store.create({ status, output: "o", deadlineAt: 1 });
      has(await store.get(id), {
        status,
        output: "o",
        dueAt: null,
        deadlineAt: null,
        finishedAt: await store.a.now(),
      });
      same(await store.claimJobOf(id), []);
    }
    same((await store.claim({})).overdue, []);
  },

  async "many groups are one element, answered in order"(store) {
    const groups = Array.from({ length: 300 }, () => ({ first: store.newRun({ jobId: "job" }) }));
    const result = await store.createElement({ groups });
    const ids = result.result === "ok" ? result.groups.map(({ first }) => first.id) : [];
    same(
      ids,
      groups.map(({ first }) => first.id),
    );
    sameSet(await store.claimIds({ jobIds: ["job"], limit: 300 }), ids);
  },
});
