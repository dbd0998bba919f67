import type { RunPatch } from "../../core/storage.js";
import { has, same } from "./check.js";
import { topic } from "./topic.js";

export const writes = topic("what a write sets", {
  async "every column that it names"(store) {
    const run = await store.hold();
    const patch: RunPatch = {
      status: "WAITING_ON_CONNECTIONS",
      version: "2.0.0",
      priority: 7,
      tags: ["a", "b"],
      payload: "p",
      admitted: "a",
      output: "o",
      error: "e",
      blocked: "b",
      executionCount: 11,
      stalls: 12,
      lastSeq: 13,
      deadlineAt: await store.in(1_000),
      maxDurationMs: 14,
      startedAt: 15,
      meta: "m",
      state: "s",
    };
    await store.ok(store.write(run, { run: patch }));
    same(await store.get(run.id), { ...run, ...patch });
  },

  async "columns to null"(store) {
    const columns = { admitted: "a", output: "o", error: "e", meta: "m", state: "s" };
    const run = await store.hold({ ...columns, deadlineAt: 9, maxDurationMs: 60_000 });
    const patch: RunPatch = {
      payload: null,
      admitted: null,
      output: null,
      error: null,
      blocked: null,
      deadlineAt: null,
      maxDurationMs: null,
      startedAt: null,
      meta: null,
      state: null,
      limitKeys: [],
      tags: [],
    };
    await store.ok(store.write(run, { run: patch }));
    same(await store.get(run.id), { ...run, ...patch });
  },

  async "nothing that it does not name"(store) {
    const columns = { admitted: "a", output: "o", error: "e", meta: "m", state: "s" };
    const run = await store.hold({ ...columns, tags: ["t"], priority: 3, maxDurationMs: 60_000 });
    await store.ok(store.write(run, { run: {} }));
    same(await store.get(run.id), run);
  },

  async "a start that was taken back comes again with the next claim"(store) {
    const run = await store.hold({ maxDurationMs: 500 });
    const parts = { run: { status: "PENDING", startedAt: null, deadlineAt: null } } as const;
    await store.park(run, { wakeAt: 0 }, parts);
    await store.advance(50);
    const { now, runs } = await store.claim({ jobIds: [run.jobId] });
    has(runs[0]?.run, { startedAt: now, deadlineAt: now + 500 });
  },
});
