import { expect, test } from "vitest";
import type { TaskWrite } from "../../src/core/storage.js";
import { type Process, StoreFixture, task } from "./store-fixture.js";

/** A record that takes the place of another goes a shorter way in the process that holds the run. */
const fixture = new StoreFixture();
const lease = { workerId: "worker", leaseMs: 30_000 };

const waiting = task("w", 1, {
  kind: "wait",
  status: "WAITING",
  attempts: 0,
  output: null,
  finishedAt: null,
  wakeAt: 9,
  data: '{"d":1}',
  topics: ["t", 'u"v'],
  filter: "f",
});

/** A run of this process with an open wait. */
async function held(process: Process): Promise<string> {
  const run = await fixture.made(process, { lease });
  await commit(process, run, [waiting]);
  return run;
}

async function commit({ storage }: Process, run: string, tasks: readonly TaskWrite[]) {
  return (await storage.commit([fixture.write(run, 1, { tasks })]))[0]?.result;
}

const ended: TaskWrite = task("w", 2, { kind: "wait", replaces: 1, startedAt: 3, finishedAt: 4 });
const again: TaskWrite = {
  ...waiting,
  ...{ seq: 2, replaces: 1, attempts: 2, error: '{"name":"E"}', wakeAt: 11, topics: ["x"] },
};

test.each<[string, TaskWrite]>([
  ["that is over", ended],
  ["that is open again", again],
  ["that failed", task("w", 2, { replaces: 1, status: "FAILED", output: null, error: '{"m":1}' })],
])("a record %s leaves what the general way leaves, alone and with others", async (_, next) => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  for (const together of [1, 3]) {
    const all = [];
    for (let n = 0; n < together * 2; n++) all.push(await held(holder));
    const writes = all.map((run) => fixture.write(run, 1, { tasks: [next] }));
    const mine = writes.slice(0, together);
    holder.sent.splice(0);
    const short = await holder.storage.commit(mine);
    expect(holder.sent).toEqual([expect.stringContaining("update")]);
    // This one has never heard of them.
    expect(await other.storage.commit(writes.slice(together))).toEqual(short);
    expect(short.map(({ result }) => result)).toEqual(mine.map(() => "ok"));
    const [first, ...rest] = await Promise.all(all.map((run) => fixture.recordsOf(run)));
    expect(first).toHaveLength(1);
    for (const records of rest) expect(records).toEqual(first);
    // Sent again after a lost answer.
    expect(await holder.storage.commit(mine)).toEqual(short);
    expect(await fixture.recordsOf(all[0] ?? "")).toEqual(first);
  }
});

test("new records behind it go with it, and leave what the general way leaves", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const behind = [task("x", 3), task("y", 4, { kind: "odd", output: null, data: '"d"' })];
  for (const together of [1, 3]) {
    const all = [];
    for (let n = 0; n < together * 2; n++) all.push(await held(holder));
    // The second brings fewer.
    const tasksOf = (n: number) => [ended, ...behind.slice(0, n % together === 1 ? 1 : 2)];
    const writes = all.map((run, n) => fixture.write(run, 1, { tasks: tasksOf(n) }));
    const mine = writes.slice(0, together);
    holder.sent.splice(0);
    const short = await holder.storage.commit(mine);
    expect(holder.sent).toEqual([expect.stringContaining("added as (insert")]);
    expect(await other.storage.commit(writes.slice(together))).toEqual(short);
    expect(short.map(({ result }) => result)).toEqual(mine.map(() => "ok"));
    const records = await Promise.all(all.map((run) => fixture.recordsOf(run)));
    expect(records[0]?.map(({ path, seq }) => [path, seq])).toEqual([
      ["w", 2],
      ["x", 3],
      ["y", 4],
    ]);
    expect(records.slice(together)).toEqual(records.slice(0, together));
    expect(await holder.storage.commit(mine)).toEqual(short);
  }
});

test.each<[string, readonly TaskWrite[]]>([
  ["a path that has one", [ended, task("v", 3)]],
  ["its own path", [ended, task("w", 3)]],
  ["a seq that is taken", [ended, task("x", 2)]],
])("new records behind it for %s are refused with it", async (_, tasks) => {
  const process = await fixture.open();
  const run = await fixture.made(process, { lease });
  await commit(process, run, [{ ...waiting, seq: 2 }, task("v", 1)]);
  const before = await fixture.recordsOf(run);
  const all = tasks.map((record) => ({ ...record, seq: record.seq + 1 }));
  const wrong = all.map((record) => (record.replaces === 1 ? { ...record, replaces: 2 } : record));
  const neighbour = await held(process);
  const answers = await process.storage.commit([
    fixture.write(run, 1, { tasks: wrong }),
    fixture.write(neighbour, 1, { tasks: [ended, task("x", 3)] }),
  ]);
  expect(answers.map(({ result }) => result)).toEqual(["rejected", "ok"]);
  expect(await fixture.recordsOf(run)).toEqual(before);
});

test("what comes after a replaced record is known by its path and seq", async () => {
  const process = await fixture.open();
  const run = await held(process);
  expect(await commit(process, run, [ended])).toBe("ok");
  expect(await commit(process, run, [task("next", 3)])).toBe("ok");
  // What is completed stays.
  expect(await commit(process, run, [task("w", 4, { replaces: 2 })])).toBe("rejected");
  expect(await commit(process, run, [task("w", 4)])).toBe("rejected");
  const records = await fixture.recordsOf(run);
  expect(records.map(({ path, seq }) => [path, seq])).toEqual([
    ["w", 2],
    ["next", 3],
  ]);
});

test.each<[string, Partial<TaskWrite>]>([
  ["another record than the one that is there", { replaces: 7 }],
  ["the record of another path", { path: "other" }],
  ["a seq that is taken", { seq: 1 }],
])("a write that names %s is refused, and its neighbour is not", async (_, more) => {
  const process = await fixture.open();
  const [run, neighbour] = [await held(process), await held(process)];
  const before = await fixture.recordsOf(run);
  const wrong = fixture.write(run, 1, { tasks: [{ ...ended, ...more }] });
  const right = fixture.write(neighbour, 1, { tasks: [ended] });
  const answers = await process.storage.commit([wrong, right]);
  expect(answers.map(({ result }) => result)).toEqual(["rejected", "ok"]);
  expect(await fixture.recordsOf(run)).toEqual(before);
  expect(await fixture.recordsOf(neighbour)).toMatchObject([{ path: "w", seq: 2 }]);
});

test("nor is the record of another path that has one replaced, nor anything at a seq that somebody took", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const run = await held(holder);
  expect(await commit(holder, run, [task("v", 2)])).toBe("ok");
  expect(await commit(holder, run, [task("v", 3, { replaces: 1 })])).toBe("rejected");
  const another = await held(holder);
  expect(await commit(other, another, [task("theirs", 2)])).toBe("ok");
  const [answer] = await holder.storage.commit([fixture.write(another, 1, { tasks: [ended] })]);
  expect(answer).toMatchObject({
    result: "rejected",
    reason: expect.stringContaining("2 is taken"),
  });
  const records = [...(await fixture.recordsOf(run)), ...(await fixture.recordsOf(another))];
  expect(records.map(({ path, seq }) => [path, seq])).toEqual([
    ["w", 1],
    ["v", 2],
    ["w", 1],
    ["theirs", 2],
  ]);
});

test("a holder that lost its run replaces nothing", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const run = await held(holder);
  const before = await fixture.recordsOf(run);
  const only = [run];
  fixture.now += 40_000;
  await other.storage.claimRuns(fixture.claim({ workerId: "other", only }));
  expect(await commit(holder, run, [ended])).toBe("fenced");
  expect(await fixture.recordsOf(run)).toEqual(before);
});

test("what somebody completed over another connection is not replaced", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const run = await held(holder);
  // The same holder by another adapter, as after a hot reload.
  expect(await commit(other, run, [ended])).toBe("ok");
  expect(await commit(holder, run, [{ ...again, seq: 3, replaces: 2 }])).toBe("rejected");
  expect(await commit(holder, run, [{ ...ended, output: "2" }])).toBe("rejected");
  expect(await fixture.recordsOf(run)).toMatchObject([
    { seq: 2, status: "COMPLETED", output: "1" },
  ]);
});
