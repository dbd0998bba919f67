import { afterEach, expect, test, vi } from "vitest";
import type { ClaimRequest } from "../../src/core/storage.js";
import { type Process, StoreFixture } from "./store-fixture.js";

/** A worker that hears from another process that something is due does not look first whether that is so. */
const fixture = new StoreFixture();
const unsubscribes: (() => Promise<void>)[] = [];
afterEach(() => Promise.all(unsubscribes.splice(0).map((unsubscribe) => unsubscribe())));

/** A process that hears, and one that sends. */
async function both() {
  const worker = await fixture.open({ notify: true });
  const sender = await fixture.open({ notify: true });
  let heard = 0;
  const unsubscribe = await worker.storage.subscribe?.((dueAt) => {
    if (dueAt !== undefined) heard++;
  });
  if (unsubscribe !== undefined) unsubscribes.push(unsubscribe);
  // The subscription itself says that something may have been missed.
  await worker.storage.claimRuns(fixture.claim());
  /** Makes a run there, of which they know here then. */
  const send = async (more: Parameters<StoreFixture["made"]>[1] = {}) => {
    const before = heard;
    const id = await fixture.made(sender, more);
    await vi.waitFor(() => expect(heard).toBeGreaterThan(before));
    return id;
  };
  return { worker, sender, send };
}

async function claimed({ storage, sent }: Process, more: Partial<ClaimRequest> = {}) {
  sent.splice(0);
  const { runs, ...rest } = await storage.claimRuns(fixture.claim(more));
  return {
    ...rest,
    ids: runs.map(({ run }) => run.id),
    looked: sent.some((text) => text.startsWith("with recursive clock")),
  };
}

test("takes it in one transaction, and is told to look at once for what else there is", async () => {
  const { worker, send } = await both();
  const id = await send();
  const { now } = fixture;
  const first = { ids: [id], looked: false, now, nextDue: now, overdue: [], nextDeadline: null };
  expect(await claimed(worker)).toEqual(first);
  expect(worker.sent).toHaveLength(2);
  expect(await claimed(worker)).toMatchObject({ ids: [], looked: true, nextDue: now + 30_000 });
  await claimed(worker);
  expect(worker.sent).toHaveLength(1);
});

test("looks after each such claim, so that what it passes over does not wait for as long as there is news", async () => {
  const { worker, sender, send } = await both();
  const lapsed = await fixture.made(sender);
  await sender.storage.claimRuns(fixture.claim({ workerId: "gone", leaseMs: 1_000 }));
  fixture.now += 1_001;
  const first = await send();
  expect((await claimed(worker)).ids).toEqual([first]);
  const second = await send();
  expect(await claimed(worker)).toMatchObject({ ids: [lapsed, second], looked: true });
});

test("looks if somebody else was faster, and if the news is of jobs that it does not know", async () => {
  const { worker, sender, send } = await both();
  await send();
  await sender.storage.claimRuns(fixture.claim({ workerId: "other" }));
  expect(await claimed(worker)).toMatchObject({ ids: [], looked: true });
  await send({ jobId: "unknown" });
  expect(await claimed(worker)).toMatchObject({ ids: [], looked: true });
});

test("looks where slots of limits are to be counted, and for runs that are asked for by name", async () => {
  const { worker, send } = await both();
  const first = await send();
  const limited = await claimed(worker, { limits: { nobody: 1 } });
  expect(limited).toMatchObject({ ids: [first], looked: true });
  await claimed(worker);
  await send();
  const second = await send();
  const named = await claimed(worker, { only: [second] });
  expect(named).toMatchObject({ ids: [second], looked: true });
});

test("gets the same runs for a claim whose answer was lost", async () => {
  const { worker, send } = await both();
  const id = await send();
  const request = fixture.claim();
  expect((await claimed(worker, request)).ids).toEqual([id]);
  await send();
  expect((await claimed(worker, request)).ids).toEqual([id]);
});
