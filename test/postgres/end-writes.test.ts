import { expect, test } from "vitest";
import { finalPatch } from "../../src/core/final.js";
import type { RunWrite } from "../../src/core/storage.js";
import { type Process, StoreFixture } from "./store-fixture.js";

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
