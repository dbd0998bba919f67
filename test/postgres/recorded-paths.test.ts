import pg from "pg";
import { afterAll, beforeEach, describe, expect, inject, test } from "vitest";
import type { NewRun, RunWrite, TaskWrite } from "../../src/core/storage.js";
import type { Driver, Parameter, Session } from "../../src/storage/postgres/driver.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PathsOfRun, RecordedPaths } from "../../src/storage/postgres/recorded-paths.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { schemaName } from "./clients.js";
import { task } from "./store-fixture.js";

const schema = schemaName();
const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 8 });
let now = 1_000_000;
let ids = 0;
const id = (what: string) => `${what}-${ids++}`;

afterAll(async () => {
  await pool.query(`drop schema if exists "${schema}" cascade`);
  await pool.end();
});

/** What was sent, and the answers that get lost: the statement is executed, and nobody hears of it. */
interface Wire {
  readonly sent: string[];
  losing: RegExp | undefined;
}

async function open() {
  const wire: Wire = { sent: [], losing: undefined };
  const storage = new PostgresStorage<pg.PoolClient>({
    open: () => tapped(new PgDriver(pool, { prepare: true, ownsPool: false }), wire),
    schema,
    clock: { now: () => now },
    notify: false,
  });
  await storage.init();
  return { storage, wire };
}

type Process = Awaited<ReturnType<typeof open>>;

function tapped(inner: Driver, wire: Wire): Driver {
  const answered = async <T>(text: string, answer: Promise<T>): Promise<T> => {
    wire.sent.push(text);
    const value = await answer;
    if (wire.losing?.test(text) !== true) return value;
    wire.losing = undefined;
    throw new Error("Connection terminated");
  };
  const query = (session: Session) => (text: string, parameters?: readonly Parameter[]) =>
    answered(text, session.query(text, parameters));
  return {
    name: inner.name,
    query: query(inner),
    script: (text) => inner.script(text),
    insert: (text, parameters) => answered(text, inner.insert(text, parameters)),
    planned: (text, parameters, once) => answered(text, inner.planned(text, parameters, once)),
    transaction: (work) =>
      answered(
        "transaction",
        inner.transaction((session) =>
          work({
            query: query(session),
            script: (text) => session.script(text),
            withCommit: (text) => session.withCommit(text),
          }),
        ),
      ),
    begin: (work) =>
      inner.begin((session, tx) =>
        work({ query: query(session), script: (text) => session.script(text) }, tx),
      ),
    within: (tx) => inner.within(tx),
    listen: (channel, heard) => inner.listen(channel, heard),
    close: () => inner.close(),
  };
}

const lease = { workerId: "ours", leaseMs: 30_000 };

async function made({ storage }: Process, more: Partial<NewRun> = {}): Promise<string> {
  const run = {
    id: id("run"),
    jobId: "job",
    version: "1.0.0",
    status: "PENDING",
    payload: "{}",
  };
  const first = { ...run, wakeAt: 1, lease, ...more } as NewRun;
  await storage.createRuns([{ createId: id("create"), groups: [{ first }] }]);
  return first.id;
}

/** Takes a run whose lease is over, or that is due. */
async function claimed({ storage }: Process, runId: string, workerId: string, taskBudget = 1e6) {
  now += 40_000;
  const { runs } = await storage.claimRuns({
    claimId: id("claim"),
    workerId,
    jobIds: ["job"],
    limit: 1,
    leaseMs: 30_000,
    limits: {},
    suspects: 1,
    taskBudget,
    only: [runId],
  });
  const [run] = runs;
  if (run === undefined) throw new Error(`${runId} was not claimed`);
  return run;
}

const waiting = { status: "WAITING", output: null, finishedAt: null } as const;

const writeOf = (
  runId: string,
  epoch: number,
  tasks: readonly TaskWrite[],
  more: Partial<RunWrite> = {},
): RunWrite => ({ runId, writeId: id("write"), guard: { epoch }, tasks, ...more });

async function commit({ storage }: Process, write: RunWrite) {
  return (await storage.commit([write]))[0]?.result;
}

const record = (process: Process, runId: string, epoch: number, ...tasks: readonly TaskWrite[]) =>
  commit(process, writeOf(runId, epoch, tasks));

/** Alone and in a batch a record takes one statement; the general way has a transaction. */
async function takesTheShortWay(process: Process, write: RunWrite): Promise<boolean> {
  process.wire.sent.splice(0);
  expect(await commit(process, write)).toBe("ok");
  return !process.wire.sent.includes("transaction");
}

async function pathsOf({ storage }: Process, runId: string): Promise<string[]> {
  return (await storage.listTasks(runId, 0, 1e6)).tasks.map(({ path }) => path);
}

const park = {
  release: { wakeAt: 1, wakeSignals: 0, keep: true },
  run: { status: "WAITING" },
} as const;

let [ours, theirs]: [Process, Process] = [await open(), await open()];
beforeEach(async () => {
  [ours, theirs] = [await open(), await open()];
});

describe("a path that has a record is not recorded anew", () => {
  test("when another connection wrote it since", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
    expect(await record(theirs, run, 1, task("b", 2), task("c", 3))).toBe("ok");
    expect(await record(ours, run, 1, task("c", 4))).toBe("rejected");
    expect(await record(theirs, run, 1, task("a", 4))).toBe("rejected");
    expect(await record(ours, run, 1, task("d", 4))).toBe("ok");
    expect(await pathsOf(ours, run)).toEqual(["a", "b", "c", "d"]);
  });

  test("when another connection took the seq that is next here", async () => {
    const run = await made(ours);
    expect(await record(theirs, run, 1, task("a", 1))).toBe("ok");
    expect(await record(ours, run, 1, task("a", 1))).toBe("rejected");
    expect(await record(ours, run, 1, task("a", 2))).toBe("rejected");
    expect(await pathsOf(ours, run)).toEqual(["a"]);
  });

  test("when it was replaced since", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1, waiting))).toBe("ok");
    expect(await record(ours, run, 1, task("a", 2, { replaces: 1 }))).toBe("ok");
    expect(await record(ours, run, 1, task("a", 3))).toBe("rejected");
    expect(await record(ours, run, 1, task("b", 3))).toBe("ok");
    expect(await pathsOf(ours, run)).toEqual(["a", "b"]);
  });

  test("nor is it replaced by a write that names another seq", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1, waiting), task("b", 2))).toBe("ok");
    expect(await record(ours, run, 1, task("a", 3, { replaces: 2 }))).toBe("rejected");
    expect(await record(ours, run, 1, task("none", 3, { replaces: 2 }))).toBe("rejected");
    expect(await pathsOf(ours, run)).toEqual(["a", "b"]);
  });

  test("when one write has it twice", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1), task("a", 2))).toBe("rejected");
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
  });

  test("when somebody held the run meanwhile, whose records did not fit into the claim", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
    await claimed(theirs, run, "theirs");
    // Its holder of before knows no better.
    expect(await record(ours, run, 1, task("b", 2))).toBe("fenced");
    expect(await record(theirs, run, 2, task("b", 2))).toBe("ok");
    expect((await claimed(ours, run, "ours", 0)).tasksComplete).toBe(false);
    expect(await record(ours, run, 3, task("b", 3))).toBe("rejected");
    expect(await record(ours, run, 3, task("c", 3))).toBe("ok");
    expect(await pathsOf(ours, run)).toEqual(["a", "b", "c"]);
  });

  test("when there are more of them than fit onto a page", async () => {
    const run = await made(ours);
    const many = Array.from({ length: 2_500 }, (_, n) => task(`t${n}`, n + 1));
    expect(await record(ours, run, 1, ...many)).toBe("ok");
    await claimed(theirs, run, "theirs", 0);
    expect(await record(theirs, run, 2, task("t2499", 2_501))).toBe("rejected");
    expect(await record(theirs, run, 2, task("new", 2_501))).toBe("ok");
  });
});

describe("a path is free", () => {
  test("in a run that has the id of one that was purged", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
    // Nobody tells its holder.
    const end = {
      guard: { statuses: ["EXECUTING"] },
      run: { status: "CANCELED", finishedAt: now },
    };
    expect(await commit(theirs, writeOf(run, 1, [], end as Partial<RunWrite>))).toBe("ok");
    await theirs.storage.purge({ finishedBefore: now + 1, dedupeUntil: now - 1, limit: 1_000 });
    await theirs.storage.purge({ finishedBefore: 0, dedupeUntil: now, limit: 1_000 });
    expect(await pathsOf(theirs, run)).toEqual([]);
    await made(theirs, { id: run });
    await claimed(ours, run, "ours");
    expect(await takesTheShortWay(ours, writeOf(run, 2, [task("a", 1)]))).toBe(true);
  });

  test("if the transaction that was to record it was undone", async () => {
    const run = await made(ours);
    ours.wire.losing = /insert into .*tasks/;
    const both = writeOf(run, 1, [task("a", 1)], { leaseUntil: now + 60_000 });
    await expect(commit(ours, both)).rejects.toThrow("terminated");
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
  });
});

describe("a write whose answer was lost is repeated", () => {
  for (const kind of ["alone", "with another"]) {
    test(`over any connection, ${kind}, and is there once`, async () => {
      const [run, other] = [await made(ours), await made(ours)];
      const lost = writeOf(run, 1, [task("a", 1)]);
      const writes = kind === "alone" ? [lost] : [lost, writeOf(other, 1, [task("a", 1)])];
      ours.wire.losing = /insert into .*tasks/;
      await expect(ours.storage.commit(writes)).rejects.toThrow("terminated");
      for (const process of [ours, theirs, ours]) {
        const answers = await process.storage.commit(writes);
        expect(answers.map(({ result }) => result)).toEqual(writes.map(() => "ok"));
      }
      expect(await pathsOf(ours, run)).toEqual(["a"]);
      expect(await takesTheShortWay(ours, writeOf(run, 1, [task("b", 2)]))).toBe(true);
    });
  }

  test("in a transaction, and what comes after it is recorded", async () => {
    const run = await made(ours);
    const lost = writeOf(run, 1, [task("a", 1)], { leaseUntil: now + 60_000 });
    ours.wire.losing = /^transaction$/;
    await expect(commit(ours, lost)).rejects.toThrow("terminated");
    expect(await commit(ours, lost)).toBe("ok");
    expect(await record(ours, run, 1, task("a", 2))).toBe("rejected");
    expect(await record(ours, run, 1, task("b", 2))).toBe("ok");
  });
});

describe("nothing is read before a record", () => {
  test("of a new run, one that was claimed with its records, and one that was kept", async () => {
    const run = await made(ours);
    expect(await takesTheShortWay(ours, writeOf(run, 1, [task("a", 1), task("b", 2)]))).toBe(true);
    const { tasks } = await claimed(theirs, run, "theirs");
    expect(tasks).toHaveLength(2);
    expect(await takesTheShortWay(theirs, writeOf(run, 2, [task("c", 3)]))).toBe(true);
    expect(await commit(theirs, writeOf(run, 2, [task("wait", 4, waiting)], park))).toBe("ok");
    expect(await claimed(theirs, run, "theirs")).toMatchObject({ kept: true, tasks: [] });
    expect(await takesTheShortWay(theirs, writeOf(run, 4, [task("d", 5)]))).toBe(true);
  });

  test("after one that had to be read for", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
    await claimed(theirs, run, "theirs", 0);
    expect(await takesTheShortWay(theirs, writeOf(run, 2, [task("b", 2)]))).toBe(false);
    expect(await takesTheShortWay(theirs, writeOf(run, 2, [task("c", 3)]))).toBe(true);
  });

  test("after one in a user's transaction", async () => {
    const run = await made(ours);
    const result = await ours.storage.commitWith(() => writeOf(run, 1, [task("a", 1)]));
    expect(result.result).toBe("ok");
    expect(await takesTheShortWay(ours, writeOf(run, 1, [task("b", 2)]))).toBe(true);
  });
});

describe("a record in a user's transaction", () => {
  const within = async (process: Process, write: RunWrite) =>
    (await process.storage.commitWith(() => write)).result;

  test("is refused if its path has one, whoever wrote that", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
    expect(await record(theirs, run, 1, task("b", 2))).toBe("ok");
    for (const path of ["a", "b"])
      expect(await within(ours, writeOf(run, 1, [task(path, 3)]))).toBe("rejected");
    expect(await within(ours, writeOf(run, 1, [task("c", 3), task("c", 4)]))).toBe("rejected");
    expect(await within(ours, writeOf(run, 1, [task("c", 3)]))).toBe("ok");
    expect(await pathsOf(ours, run)).toEqual(["a", "b", "c"]);
  });

  test("is refused as well by a holder who has not been told of the records", async () => {
    const run = await made(ours);
    expect(await record(ours, run, 1, task("a", 1))).toBe("ok");
    await claimed(theirs, run, "theirs", 0);
    expect(await within(theirs, writeOf(run, 2, [task("a", 2)]))).toBe("rejected");
    expect(await within(theirs, writeOf(run, 2, [task("b", 2)]))).toBe("ok");
    expect(await within(ours, writeOf(run, 1, [task("c", 3)]))).toBe("fenced");
  });
});

describe("what a process knows of paths", () => {
  const knownOf = (...paths: readonly string[]) => {
    const known = new PathsOfRun();
    for (const [index, path] of paths.entries()) known.add({ path, seq: index + 1 });
    return known;
  };
  const answer = { result: "ok", status: "WAITING", inbox: 0, leaseUntil: null } as const;

  test("is of one epoch, and of the one that comes after a release if the run is kept", () => {
    const known = new RecordedPaths();
    for (const runId of ["kept", "given back"]) known.learn(runId, 1, knownOf("a"));
    known.learnFrom(writeOf("kept", 1, [task("b", 2)], park), { ...answer, epoch: 2 });
    const release = { wakeAt: 1, wakeSignals: 0 };
    known.learnFrom(writeOf("given back", 1, [], { release }), { ...answer, epoch: 2 });
    expect(known.of("kept", 1)).toBeUndefined();
    expect(known.of("kept", 3)?.has("b")).toBe(true);
    expect([1, 2, 3].map((epoch) => known.of("given back", epoch))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("is given up for some of the runs if there is too much of it", () => {
    const known = new RecordedPaths(20);
    for (const runId of ["one", "two", "three"]) known.learn(runId, 1, knownOf("a"));
    const kept = ["one", "two", "three"].filter((runId) => known.of(runId, 1) !== undefined);
    expect(kept).toHaveLength(2);
    expect(kept).toContain("three");
    const many = knownOf(...Array.from({ length: 30 }, (_, n) => `t${n}`));
    known.learn("large", 1, many);
    expect(["one", "two", "three", "large"].filter((id) => known.of(id, 1))).toEqual(["large"]);
  });
});
