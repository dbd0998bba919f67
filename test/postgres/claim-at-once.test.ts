import { afterEach, expect, test, vi } from "vitest";
import type { ClaimRequest } from "../../src/core/storage.js";
import { type Process, StoreFixture } from "./store-fixture.js";

/** A worker that knows that something is due, from another process or from its last claim, does not look first whether that is so. */
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

test("takes it in one message, and is told to look at once for what else there is", async () => {
  const { worker, send } = await both();
  const id = await send();
  const { now } = fixture;
  const first = { ids: [id], looked: false, now, nextDue: now, overdue: [], nextDeadline: null };
  expect(await claimed(worker)).toEqual(first);
  expect(worker.sent).toHaveLength(1);
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

test("looks at every eighth claim while each leaves some behind", async () => {
  const { worker } = await both();
  const [of, only] = [{ jobId: "eighth" }, { jobIds: ["eighth"] }];
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) ids.push(await fixture.made(worker, of));
  const claims = [];
  for (let n = 0; n < 20; n++) claims.push(await claimed(worker, { ...only, limit: 1 }));
  expect(claims.flatMap(({ ids: taken }) => taken)).toEqual(ids);
  expect(claims.map(({ looked }) => looked)).toEqual(ids.map((_, n) => n % 8 === 0));
  expect(claims.slice(0, 16).map(({ nextDue }) => nextDue)).toEqual(Array(16).fill(fixture.now));
  expect(await claimed(worker, only)).toMatchObject({ ids: [], looked: true });
});

test("finds within eight claims what such claims pass over", async () => {
  const { worker, sender } = await both();
  const [of, only] = [{ jobId: "passed over" }, { jobIds: ["passed over"] }];
  const lapsed = await fixture.made(sender, of);
  await sender.storage.claimRuns(fixture.claim({ ...only, workerId: "gone", leaseMs: 1_000 }));
  for (let n = 0; n < 20; n++) await fixture.made(worker, of);
  await claimed(worker, { ...only, limit: 1 });
  fixture.now += 1_001;
  const taken = [];
  for (let n = 0; n < 8; n++) taken.push(...(await claimed(worker, { ...only, limit: 1 })).ids);
  expect(taken).toContain(lapsed);
});

test("looks once a claim got less than it asked for", async () => {
  const { worker } = await both();
  const [of, only] = [{ jobId: "less" }, { jobIds: ["less"] }];
  for (let n = 0; n < 5; n++) await fixture.made(worker, of);
  expect(await claimed(worker, { ...only, limit: 2 })).toMatchObject({ looked: true });
  expect(await claimed(worker, { ...only, limit: 4 })).toMatchObject({ looked: false });
  await fixture.made(worker, of);
  expect(await claimed(worker, { ...only, limit: 2 })).toMatchObject({ looked: true });
});
