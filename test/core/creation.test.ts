import { describe, expect, test } from "vitest";
import { holderOf, type Identity, planCreation, tombstoneOf } from "../../src/core/creation.js";
import type { CreateElement, NewRun } from "../../src/core/storage.js";
import { newStoredRun } from "../../src/core/stored-run.js";

const now = 1_000;

function newRun(id: string, columns: Partial<NewRun> = {}): NewRun {
  const base = { id, jobId: "j", version: "1.0.0", status: "PENDING", wakeAt: null } as const;
  return { ...base, payload: null, ...columns };
}

/** A store that has these runs. */
function plan(element: Omit<CreateElement, "createId">, present: readonly Identity[] = []) {
  const holder = (run: NewRun) => {
    const byId = present.find((each) => each.run.id === run.id);
    const key = run.idempotencyKey;
    const byKey = key && present.find((each) => each.run.idempotencyKey === key);
    return holderOf(run, byId, byKey || undefined, now);
  };
  const versionOf = (key: string) => (key === "present" ? 3 : 0);
  const planned = planCreation({ createId: "c", ...element }, { holder, versionOf }, now);
  const { answer, runs } = planned;
  const groups = answer.result === "ok" ? answer.groups : [];
  const answered = groups.flatMap(({ first, further }) => [first, ...further]);
  return {
    result: answer.result,
    made: runs.map(({ run }) => run.id),
    written: planned.values.map(({ key }) => key),
    answered: answered.map(({ id, created }) => [id, created]),
    leases: answered.map(({ leaseUntil }) => leaseUntil),
  };
}

describe("the creation of runs", () => {
  test("makes what nobody has the id or the key of", () => {
    const present = [newStoredRun(newRun("a", { idempotencyKey: "k" }), "other", now)];
    const groups = [
      { first: newRun("a"), further: [newRun("not made")] },
      { first: newRun("b", { idempotencyKey: "k" }) },
      { first: newRun("c", { idempotencyKey: "l" }), further: [newRun("d")] },
    ];
    expect(plan({ groups }, present)).toMatchObject({
      made: ["c", "d"],
      answered: [
        ["a", false],
        ["a", false],
        ["c", true],
        ["d", true],
      ],
    });
  });

  test("writes values with what it makes, if they are as expected", () => {
    const groups = [{ first: newRun("a") }];
    const value = (expected?: number) => [
      { key: "present", value: "x", ...(expected === undefined ? {} : { expected }) },
    ];
    expect(plan({ groups, values: value(3) })).toMatchObject({ made: ["a"], written: ["present"] });
    expect(plan({ groups, values: value() })).toMatchObject({ made: ["a"], written: ["present"] });
    const refused = { result: "conflict", made: [], written: [] };
    expect(plan({ groups, values: value(2) })).toMatchObject(refused);
  });

  test("compares and writes nothing if all its first runs are there", () => {
    const present = [newStoredRun(newRun("a", { idempotencyKey: "k" }), "other", now)];
    const values = [{ key: "present", value: "x", expected: 9 }];
    const first = newRun("b", { idempotencyKey: "k" });
    const found = { result: "ok", made: [], written: [], answered: [["a", false]] };
    expect(plan({ groups: [{ first }], values }, present)).toMatchObject(found);
    const groups = [{ first }, { first: newRun("c") }];
    expect(plan({ groups, values }, present)).toMatchObject({ result: "conflict", made: [] });
  });

  test("sees what the same element has made before", () => {
    const groups = [
      { first: newRun("a", { idempotencyKey: "k" }) },
      { first: newRun("a") },
      { first: newRun("b", { idempotencyKey: "k" }) },
    ];
    expect(plan({ groups })).toMatchObject({
      made: ["a"],
      answered: [
        ["a", true],
        ["a", false],
        ["a", false],
      ],
    });
  });

  test("repeated, answers as at first and makes nothing", () => {
    const lease = { workerId: "w", leaseMs: 50 };
    const groups = [{ first: newRun("a", { lease }), further: [newRun("b")] }];
    const present = ["a", "b"].map((id) => newStoredRun(newRun(id), "c", now - 10));
    const expected = {
      made: [],
      answered: [
        ["a", true],
        ["b", true],
      ],
      leases: [now + 40, null],
    };
    expect(plan({ groups }, present)).toMatchObject(expected);
    const moved = [{ key: "present", version: 2 }];
    expect(plan({ groups, expect: moved }, present)).toMatchObject(expected);
  });

  test("is refused when a value has moved on", () => {
    const groups = [{ first: newRun("a") }];
    const moved = plan({ groups, expect: [{ key: "present", version: 2 }] });
    expect(moved).toMatchObject({ result: "conflict", made: [] });
    const same = [
      { key: "present", version: 3 },
      { key: "absent", version: 0 },
    ];
    expect(plan({ groups, expect: same })).toMatchObject({ result: "ok", made: ["a"] });
  });
});

describe("who has an id or a key", () => {
  const run = newRun("new", { idempotencyKey: "k" });
  const stored = newStoredRun(newRun("old", { idempotencyKey: "k" }), "c", now);

  test("what is left of a purged run has them until its time is over", () => {
    expect(holderOf(run, undefined, tombstoneOf(stored, now + 1), now)?.run.id).toBe("old");
    expect(holderOf(run, undefined, tombstoneOf(stored, now), now)).toBeUndefined();
    expect(holderOf(run, tombstoneOf(stored, now), stored, now)?.run.id).toBe("old");
  });

  test("a key that has expired is free", () => {
    expect(holderOf(run, undefined, { ...stored, keyExpiresAt: now + 1 }, now)).toBeDefined();
    expect(holderOf(run, undefined, { ...stored, keyExpiresAt: now }, now)).toBeUndefined();
  });

  test("a run that has another key now does not have this one", () => {
    const other = newStoredRun(newRun("old", { idempotencyKey: "l" }), "c", now);
    expect(holderOf(run, undefined, other, now)).toBeUndefined();
  });
});
