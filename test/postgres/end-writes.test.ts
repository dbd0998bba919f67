import { expect, test } from "vitest";
import { finalPatch } from "../../src/core/final.js";
import type { RunWrite, TaskWrite } from "../../src/core/storage.js";
import { type Process, StoreFixture, task } from "./store-fixture.js";

/** The end of a run goes a shorter way in the process that holds it: it must leave what the general way leaves. */
const fixture = new StoreFixture();
const lease = { workerId: "worker", leaseMs: 30_000 };

/** Of a run that is due, unless whoever makes it holds it. */
function made(process: Process, more: { isDue?: true; limitKeys?: readonly string[] } = {}) {
  const { isDue, limitKeys = [] } = more;
  const held = isDue === true ? {} : { lease };
  return fixture.made(process, { maxDurationMs: 60_000, limitKeys, ...held });
}

async function claimed({ storage }: Process) {
  const { runs } = await storage.claimRuns(fixture.claim({ limits: { account: 1 } }));
  return runs.map(({ run }) => run.id);
}

const end = (runId: string, more: Partial<RunWrite> = {}): RunWrite => ({
  runId,
  writeId: fixture.id("write"),
  guard: { epoch: 1, inbox: 0 },
  run: { ...finalPatch({ status: "COMPLETED", output: '"done"' }, fixture.now + 5), lastSeq: 7 },
  ...more,
});

const failed = (runId: string) =>
  end(runId, {
    run: {
      ...finalPatch(
        {
          status: "FAILED",
          error: { name: "Error", message: "m", code: null, stack: null, cause: null } as never,
        },
        fixture.now + 5,
      ),
      lastSeq: 3,
    },
  });

test("ends that go the short way leave the rows, and get the answers, of the general one", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const ended = async (write: (runId: string) => RunWrite, together: number) => {
    for (let n = 0; n < together * 2; n++) await made(other, { isDue: true });
    const runs = await claimed(holder);
    expect(runs).toHaveLength(together * 2);
    const mine = runs.slice(0, together).map(write);
    const others = runs.slice(together).map(write);
    const short = await holder.storage.commit(mine);
    // This one has never heard of them.
    expect(await other.storage.commit(others)).toEqual(short);
    expect(short.map(({ result }) => result)).toEqual(runs.slice(together).map(() => "ok"));
    const [first, ...rows] = await Promise.all(runs.map((runId) => fixture.rowOf(runId)));
    for (const row of rows) expect(row).toEqual(first);
    // Repeated after a lost answer.
    expect(await holder.storage.commit(mine)).toEqual(short);
    return first;
  };
  expect(await ended(end, 1)).toMatchObject({
    status: "COMPLETED",
    output: '"done"',
    due_at: null,
  });
  expect(await ended(failed, 1)).toMatchObject({
    status: "FAILED",
    output: null,
    lease_until: null,
  });
  await ended(end, 3);
  await ended(failed, 3);
});

test("the end of a lone run is one message", async () => {
  const process = await fixture.open();
  const { storage, sent } = process;
  const run = await made(process);
  sent.splice(0);
  await storage.commit([end(run)]);
  expect(sent).toHaveLength(1);
  expect(sent[0]).toContain("update");
});

test("an end that has missed a signal is a conflict, and changes nothing", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const [run, sender] = [await made(holder), await made(other)];
  const signals = [{ runId: run, id: "signal", topic: "t", ref: null }];
  await other.storage.commit([
    { runId: sender, writeId: fixture.id("write"), guard: { epoch: 1 }, signals },
  ]);
  const before = await fixture.rowOf(run);
  const neighbour = await made(holder);
  const answers = await holder.storage.commit([end(run), end(neighbour)]);
  expect(answers).toMatchObject([
    { result: "conflict", status: "EXECUTING", inbox: 1 },
    { result: "ok", status: "COMPLETED", leaseUntil: null },
  ]);
  expect(await fixture.rowOf(run)).toEqual(before);
});

test("a holder that lost its run does not end it", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const run = await made(holder);
  const cancel = finalPatch({ status: "CANCELED" }, fixture.now);
  await other.storage.commit([
    { runId: run, writeId: fixture.id("write"), guard: { inbox: 0 }, run: cancel },
  ]);
  expect(await holder.storage.commit([end(run)])).toMatchObject([
    { result: "final", status: "CANCELED" },
  ]);
  expect(await fixture.rowOf(run)).toMatchObject({ status: "CANCELED", output: null });
});

test("the end of a run with a limit goes the way that tells whoever waits for its slot", async () => {
  const process = await fixture.open();
  const { storage, sent } = process;
  await made(process, { isDue: true, limitKeys: ["account/1"] });
  const [run = ""] = await claimed(process);
  sent.splice(0);
  expect(await storage.commit([end(run)])).toMatchObject([{ result: "ok" }]);
  expect(sent).toContain("transaction");
  expect(await fixture.rowOf(run)).toMatchObject({ status: "COMPLETED", lease_until: null });
});

test("an end that brings more than itself is written as a whole", async () => {
  const process = await fixture.open();
  const { storage } = process;
  const [run, parent] = [await made(process), await made(process)];
  const signals = [{ runId: parent, id: "end", topic: "t", ref: run }];
  expect(await storage.commit([end(run, { signals })])).toMatchObject([{ result: "ok" }]);
  expect(await storage.listSignals(parent)).toHaveLength(1);
});

const waiting = task("w", 1, { kind: "wait", status: "WAITING", finishedAt: null, wakeAt: 9 });
const over: TaskWrite = task("w", 2, { kind: "wait", replaces: 1, startedAt: 3, finishedAt: 4 });

/** A run of this process with a wait that is recorded. */
async function waits(process: Process): Promise<string> {
  const run = await made(process);
  await process.storage.commit([fixture.write(run, 1, { tasks: [waiting] })]);
  return run;
}

test("the end of a run's last wait goes with the end of the run, and leaves what the general way leaves", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  for (const together of [1, 3]) {
    const runs: string[] = [];
    for (let n = 0; n < together * 2; n++) runs.push(await waits(holder));
    const mine = runs.slice(0, together).map((run) => end(run, { tasks: [over] }));
    const others = runs.slice(together).map((run) => end(run, { tasks: [over] }));
    holder.sent.splice(0);
    const short = await holder.storage.commit(mine);
    expect(holder.sent).toEqual([expect.stringContaining("replaced as (update")]);
    // This one has never heard of them.
    expect(await other.storage.commit(others)).toEqual(short);
    expect(short.map(({ result }) => result)).toEqual(mine.map(() => "ok"));
    const [row, ...rows] = await Promise.all(runs.map((run) => fixture.rowOf(run)));
    expect(row).toMatchObject({ status: "COMPLETED", output: '"done"', due_at: null });
    for (const another of rows) expect(another).toEqual(row);
    const [records, ...all] = await Promise.all(runs.map((run) => fixture.recordsOf(run)));
    expect(records).toMatchObject([{ path: "w", seq: 2, status: "COMPLETED" }]);
    for (const another of all) expect(another).toEqual(records);
    // Repeated after a lost answer.
    expect(await holder.storage.commit(mine)).toEqual(short);
  }
});

test.each<[string, Partial<TaskWrite>]>([
  ["another record than the one that is there", { replaces: 7 }],
  ["the record of another path", { path: "other" }],
  ["a seq that is taken", { seq: 1 }],
])("an end that comes with %s is refused as a whole, and its neighbour is not", async (_, more) => {
  const process = await fixture.open();
  const [run, neighbour] = [await waits(process), await waits(process)];
  const before = [await fixture.rowOf(run), await fixture.recordsOf(run)];
  const wrong = end(run, { tasks: [{ ...over, ...more }] });
  const answers = await process.storage.commit([wrong, end(neighbour, { tasks: [over] })]);
  expect(answers.map(({ result }) => result)).toEqual(["rejected", "ok"]);
  expect([await fixture.rowOf(run), await fixture.recordsOf(run)]).toEqual(before);
});

test("nor does an end come that has missed what another connection completed", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const run = await waits(holder);
  await other.storage.commit([fixture.write(run, 1, { tasks: [over] })]);
  const answers = await holder.storage.commit([end(run, { tasks: [over] })]);
  expect(answers).toMatchObject([{ result: "rejected" }]);
  expect(await fixture.rowOf(run)).toMatchObject({ status: "EXECUTING" });
});

test("nor one whose seq somebody took for another path, and the general way says so", async () => {
  const [holder, other] = [await fixture.open(), await fixture.open()];
  const [run, neighbour] = [await waits(holder), await waits(holder)];
  await other.storage.commit([fixture.write(run, 1, { tasks: [task("x", 2)] })]);
  holder.sent.splice(0);
  const ends = [run, neighbour].map((each) => end(each, { tasks: [over] }));
  const reason = expect.stringContaining("2 is taken");
  const answers = await holder.storage.commit(ends);
  expect(answers).toMatchObject([{ result: "rejected", reason }, { result: "ok" }]);
  // Once together, and once each thing that the general way asks.
  expect(holder.sent.filter((text) => text.startsWith("with held"))).toHaveLength(1);
});
