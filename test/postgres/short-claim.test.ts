import { expect, test } from "vitest";
import type { ClaimedRun, ClaimRequest, RunWrite } from "../../src/core/storage.js";
import { StoreFixture, task } from "./store-fixture.js";

/** A claim that has nothing to decide goes a shorter way: it must leave, and answer, what the general one does. */
const fixture = new StoreFixture();

/** That a job has a limit, whichever, is what makes a claim decide about each run. */
const general = { limits: { nobody: 1 } };

async function claimed(
  process: Awaited<ReturnType<StoreFixture["open"]>>,
  more: Partial<ClaimRequest>,
) {
  process.sent.splice(0);
  const answer = await process.storage.claimRuns(fixture.claim(more));
  const isShort = process.sent.some((text) => text.includes("chosen as materialized"));
  return { ...answer, isShort };
}

/** Of a run what is not its own name. */
function unnamed({ run: { id, ...run }, ...rest }: ClaimedRun) {
  return { ...rest, run };
}

type Prepared = (runId: string, process: Awaited<ReturnType<StoreFixture["open"]>>) => unknown;

const park = (more: Partial<RunWrite> = {}): Partial<RunWrite> => ({
  run: { status: "WAITING", lastSeq: 2, stalls: 1 },
  release: { wakeAt: 5, wakeSignals: 1 },
  ...more,
});

/** Held once, with records, a log line and what the release says. */
const parked =
  (more: Partial<RunWrite> = {}): Prepared =>
  async (runId, { storage }) => {
    await storage.claimRuns(fixture.claim({ jobIds: ["job", "told"], only: [runId] }));
    const tasks = [task("a", 1), task("b", 2, { status: "WAITING", output: null, wakeAt: 5 })];
    const line = { ordinal: 0, stream: "s", path: "a", level: "info", message: "m" } as const;
    const logs = [{ ...line, data: null, at: 7 }];
    const write = fixture.write(runId, 1, { tasks, logs, ...park(more) });
    const [answer] = await storage.commit([write]);
    expect(answer?.result).toBe("ok");
  };

const signalled: Prepared = async (runId, process) => {
  await parked({ release: { wakeAt: null, wakeSignals: 1 } })(runId, process);
  const sender = await fixture.made(process, {
    jobId: "sender",
    lease: { workerId: "w", leaseMs: 30_000 },
  });
  const signals = [{ runId, id: "signal", topic: "t", ref: "r" }];
  await process.storage.commit([fixture.write(sender, 1, { signals })]);
};

test.each<[string, Parameters<StoreFixture["made"]>[1], Prepared | undefined]>([
  ["is new", {}, undefined],
  [
    "has a priority, tags and a time limit",
    { priority: 7, tags: ["a", 'b"c'], maxDurationMs: 9 },
    undefined,
  ],
  [
    "has a limit that nobody counts",
    { limitKeys: ["other/1"], idempotencyKey: "key", meta: "m" },
    undefined,
  ],
  ["is an internal one", { jobId: "$event", state: '{"n":1}', payload: null }, undefined],
  ["has records and log lines", { maxDurationMs: 9 }, parked()],
  ["is kept by the worker", {}, parked({ release: { wakeAt: 5, wakeSignals: 1, keep: true } })],
  ["has got a signal", {}, signalled],
])("a run that %s is taken as by the general way", async (_, more, prepare) => {
  const process = await fixture.open();
  const jobIds = ["job", "$event"];
  const answers = [];
  const rows = [];
  const start = fixture.now;
  for (const way of [{}, general]) {
    fixture.now = start;
    const run = fixture.newRun(more);
    const { idempotencyKey } = run;
    const key =
      idempotencyKey === undefined ? {} : { idempotencyKey: `${idempotencyKey}-${run.id}` };
    await process.storage.createRuns([
      { createId: fixture.id("create"), groups: [{ first: { ...run, ...key } }] },
    ]);
    await prepare?.(run.id, process);
    fixture.now += 100;
    const { isShort, runs } = await claimed(process, { jobIds, ...way });
    expect(isShort).toBe(way !== general);
    expect(runs.map(({ run: { id } }) => id)).toEqual([run.id]);
    const [row] = [await fixture.rowOf(run.id)];
    answers.push(
      runs.map(unnamed).map((each) => ({ ...each, run: { ...each.run, idempotencyKey: null } })),
    );
    rows.push({ ...row, idempotency_key: null });
    await process.storage.commit([
      fixture.write(run.id, Number(row.epoch), {
        run: { status: "COMPLETED", finishedAt: 9 },
      }),
    ]);
  }
  expect(answers[0]).toEqual(answers[1]);
  expect(rows[0]).toEqual(rows[1]);
});

test("runs come in the order of claims, and only so many, and the caller is told of the rest", async () => {
  const process = await fixture.open();
  const low = await fixture.made(process, { jobId: "ordered", priority: -1 });
  const late = await fixture.made(process, { jobId: "ordered", wakeAt: 3 });
  const early = await fixture.made(process, { jobId: "ordered", wakeAt: 2 });
  const high = await fixture.made(process, { jobId: "ordered", priority: 1, wakeAt: 4 });
  const first = await claimed(process, { jobIds: ["ordered"], limit: 3 });
  expect(first).toMatchObject({ isShort: true, nextDue: fixture.now });
  expect(first.runs.map(({ run }) => run.id)).toEqual([high, early, late]);
  const rest = await claimed(process, { jobIds: ["ordered"], limit: 3 });
  // It knew that there were more, and did not look whether these are all.
  expect(rest).toMatchObject({ isShort: true, nextDue: fixture.now });
  expect(rest.runs.map(({ run }) => run.id)).toEqual([low]);
  const none = await claimed(process, { jobIds: ["ordered"], limit: 3 });
  expect(none).toMatchObject({ runs: [], nextDue: fixture.now + 30_000 });
});

test("a run that became due between the look for work and the claim is not announced any more", async () => {
  const process = await fixture.open();
  await fixture.made(process, { jobId: "between" });
  await fixture.made(process, { jobId: "between", wakeAt: fixture.now + 5 });
  const { pool } = process;
  const query = pool.query.bind(pool);
  pool.query = (async (...given: Parameters<typeof query>) => {
    const answer = await query(...given);
    const [{ text }] = given as unknown as [{ text: string }];
    if (text.startsWith("with recursive clock")) fixture.now += 5;
    return answer;
  }) as never;
  const { isShort, runs, nextDue } = await claimed(process, { jobIds: ["between"] });
  expect(isShort).toBe(true);
  expect(runs).toHaveLength(2);
  expect(nextDue).toBe(fixture.now + 30_000);
});

test("a claim that is repeated after its answer was lost gets the same runs", async () => {
  const process = await fixture.open();
  const runs = [
    await fixture.made(process, { jobId: "lost" }),
    await fixture.made(process, { jobId: "lost" }),
  ];
  const request = fixture.claim({ jobIds: ["lost"] });
  const first = await process.storage.claimRuns(request);
  await fixture.made(process, { jobId: "lost" });
  const again = await process.storage.claimRuns(request);
  expect(again.runs).toEqual(first.runs);
  expect(again.runs.map(({ run }) => run.id)).toEqual(runs);
});

test("with a lapsed lease among the due runs it is decided one by one", async () => {
  const process = await fixture.open();
  const lost = await fixture.made(process, {
    jobId: "lapsed",
    lease: { workerId: "w", leaseMs: 30_000 },
  });
  fixture.now += 40_000;
  const fresh = await fixture.made(process, { jobId: "lapsed", wakeAt: fixture.now });
  const { isShort, runs } = await claimed(process, { jobIds: ["lapsed"] });
  expect(isShort).toBe(false);
  expect(runs.map(({ run }) => [run.id, run.stalls])).toEqual([
    [lost, 1],
    [fresh, 0],
  ]);
});

test("runs with very large payloads are taken one after the other", async () => {
  const process = await fixture.open();
  const runs = [];
  for (let n = 0; n < 2; n++) runs.push(await fixture.made(process, { jobId: "large" }));
  await process.pool.query(
    `update "${fixture.schema}".runs set payload = repeat('x', 40 * 1024 * 1024) where job_id = 'large'`,
  );
  for (const run of runs) {
    const { isShort, runs: taken, nextDue } = await claimed(process, { jobIds: ["large"] });
    expect(isShort).toBe(true);
    expect(taken.map(({ run: { id } }) => id)).toEqual([run]);
    expect(taken[0]?.run.payload).toHaveLength(40 * 1024 * 1024);
    if (run !== runs.at(-1)) expect(nextDue).toBe(fixture.now);
  }
});

test("behind very many runs of another job runs are found although others of theirs are in front", async () => {
  const process = await fixture.open();
  const others = Array.from({ length: 300 }, () => ({
    createId: fixture.id("create"),
    groups: [{ first: fixture.newRun({ jobId: "unknown" }) }],
  }));
  await process.storage.createRuns(others);
  const behind = [];
  for (let n = 0; n < 2; n++) behind.push(await fixture.made(process, { jobId: "behind" }));
  await fixture.made(process, { jobId: "behind", priority: 1 });
  // There may always be one in front.
  const { isShort, runs } = await claimed(process, { jobIds: ["behind"] });
  expect(isShort).toBe(false);
  expect(runs.map(({ run: { id } }) => id)).toEqual(behind);
});
