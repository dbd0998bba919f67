import { expect, test } from "vitest";
import { newRunRecord } from "../../src/core/new-run.js";
import type { NewRun } from "../../src/core/storage.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { describeClients } from "./clients.js";

const NOW = 1_700_000_000_000;

/** What runs of a batch may differ in, each in its second half. */
const differences: Readonly<Record<string, Partial<NewRun>>> = {
  nothing: {},
  "their job": { jobId: "other", version: "2", priority: -3, maxDurationMs: 5, deadlineAt: NOW },
  "their holder": { lease: { workerId: "w", leaseMs: 1_000 } },
  "their origin": { tags: ["a,b", '"{}\\'], eventId: "e", parentId: "p", parentPath: "[1]" },
  "their labels": { limitKeys: ["l", "m"], meta: "m", state: "s", fingerprint: "f" },
  "their end": { status: "FAILED", error: "{}", output: "o" },
  "whether they are of a test": { isTest: true },
  "what separates texts": { payload: "\u001e \u001f", admitted: "" },
  "that there is a text": { payload: null, admitted: null },
};

describeClients("new runs", (driver, schema) => {
  const open = async () => {
    const clock = { now: () => NOW };
    const storage = new PostgresStorage({ open: driver, schema, clock, notify: true });
    await storage.init();
    return storage;
  };

  for (const [what, difference] of Object.entries(differences)) {
    for (const count of [1, 4]) {
      test(`are stored as they are, ${count} that differ in ${what}`, async () => {
        const storage = await open();
        const runs = Array.from(
          { length: count },
          (_, index): NewRun => ({
            ...{ id: `${what} ${count} ${index}`, jobId: "job", version: "1", status: "PENDING" },
            ...{ payload: `{"n":"${index}"}`, admitted: "=", wakeAt: NOW + index },
            ...(index >= count / 2 ? difference : {}),
          }),
        );
        const elements = runs.map((first) => ({ createId: first.id, groups: [{ first }] }));
        const answers = await storage.createRuns(elements);
        expect(answers.map(({ result }) => result)).toEqual(runs.map(() => "ok"));
        const stored = await storage.getRuns(runs.map(({ id }) => id));
        expect(stored).toEqual(runs.map((run) => newRunRecord(run, NOW)));
      });
    }
  }
});
