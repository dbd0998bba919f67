import { expect, test } from "vitest";
import type { CommitResult, RunWrite } from "../../src/core/storage.js";
import { CommitQueue, type Writer } from "../../src/engine/commit-queue.js";
import { Patience } from "../../src/engine/patient-storage.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { turns } from "./drive.js";

const ok: CommitResult = {
  result: "ok",
  epoch: 1,
  status: "EXECUTING",
  inbox: 0,
  leaseUntil: null,
};

function queueOn(commit: (writes: readonly RunWrite[]) => Promise<CommitResult[]>) {
  const clock = new FakeClock();
  const troubles: unknown[] = [];
  const patience = new Patience(clock, (error) => troubles.push(error));
  const queue = new CommitQueue({ commit, createRuns: async () => [] }, patience, clock);
  return { queue, troubles };
}

/** Notes what it hears; `throwsAt` names the calls that fail. */
function writer(name: string, heard: string[], throwsAt: readonly string[] = []): Writer {
  const hear = (what: string) => {
    heard.push(`${name} ${what}`);
    if (throwsAt.includes(what)) throw new Error(`${name} cannot bear it`);
  };
  return {
    isQueued: false,
    takeWrite: () => ({ runId: name, writeId: name, guard: {} }),
    written: () => hear("written"),
    abandoned: () => hear("abandoned"),
  };
}

test("a writer that throws when it hears of its write takes no other one with it", async () => {
  const heard: string[] = [];
  const { queue } = queueOn(async (writes) => writes.map(() => ok));
  queue.enqueue(writer("a", heard));
  queue.enqueue(writer("b", heard, ["written"]));
  queue.enqueue(writer("c", heard));
  await turns(3);
  expect(heard).toEqual(["a written", "b written", "b abandoned", "c written"]);
});

test("a writer that throws whatever it hears is reported, and the queue goes on", async () => {
  const heard: string[] = [];
  const { queue, troubles } = queueOn(async (writes) => writes.map(() => ok));
  for (const name of ["a", "b", "c"]) queue.sendNow(writer(name, heard, ["written", "abandoned"]));
  await turns(5);
  queue.enqueue(writer("d", heard));
  await turns(5);
  expect(heard.at(-1)).toBe("d written");
  expect(troubles.length).toBeGreaterThan(0);
});
