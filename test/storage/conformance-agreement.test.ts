import fc from "fast-check";
import {
  type ClaimRequest,
  type CreateElement,
  ManualClock,
  type NewRun,
  type RunWrite,
  type Storage,
  type TaskRecord,
  type TaskWrite,
} from "pawl/adapter-kit";
import { memory } from "pawl/memory";
import { sqlite } from "pawl/sqlite";
import { expect, test } from "vitest";

// What no rule decides, any two adapters may decide differently; these two do not, and whatever
// sequence of calls tells them apart shows a mistake in one of them or a gap in the contract.

const runIds = ["r0", "r1", "r2", "r3", "r4"];
const jobIds = ["job", "other", "$internal"];

const id = fc.constantFrom(...runIds);
const jobId = fc.constantFrom(...jobIds);
const keys = fc.constantFrom<readonly string[]>([], [], ["l/x"], ["l/y", "m/x"]);
const delay = fc.constantFrom<number | null>(null, -5, 0, 10, 30);
const few = { maxLength: 2 };
const maybe = <T>(value: fc.Arbitrary<T>, freq = 3) => fc.option(value, { nil: undefined, freq });

const newRun = fc.record({
  id,
  jobId,
  wakeIn: delay,
  priority: fc.constantFrom(0, 0, 1),
  limitKeys: keys,
  final: fc.constantFrom(false, false, false, true),
  leased: fc.boolean(),
  maxDurationMs: fc.constantFrom<number | null>(null, 15),
  deadlineIn: fc.constantFrom<number | null>(null, 5),
  key: maybe(fc.constantFrom("k1", "k2")),
  keyExpiresIn: fc.constantFrom<number | null>(null, 20),
  tags: fc.constantFrom<readonly string[]>([], ["a"], ["a", "b"]),
  parentId: maybe(id),
});

const commands = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      first: newRun,
      further: fc.array(newRun, few),
      repeat: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("claim" as const),
      workerId: fc.constantFrom("w1", "w2"),
      jobIds: fc.constantFrom(jobIds, ["job"], ["job", "other"]),
      limit: fc.constantFrom(1, 2, 9),
      limits: fc.constantFrom<Record<string, number>>({}, { l: 1 }, { l: 2, m: 1 }),
      suspects: fc.constantFrom(0 as const, 1 as const),
      only: maybe(fc.array(id, few)),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      id,
      epoch: fc.constantFrom("current", "current", "current", "stale", "none"),
      inbox: fc.constantFrom("none", "none", "current", "stale"),
      generation: fc.constantFrom("none", "none", "current", "stale"),
      statuses: maybe(fc.constantFrom(["PENDING", "WAITING"] as const, ["EXECUTING"] as const)),
      tasks: maybe(
        fc.array(
          fc.record({
            path: fc.constantFrom("t", "u", "v"),
            seq: fc.constantFrom("next", "next", "next", "taken"),
            replaces: fc.constantFrom("right", "right", "wrong", "none"),
            status: fc.constantFrom("RUNNING", "WAITING", "COMPLETED", "FAILED"),
            topics: maybe(fc.constantFrom(["t1"], ["t1", "t2"])),
          }),
          { minLength: 1, maxLength: 2 },
        ),
      ),
      patch: maybe(
        fc.record({
          status: maybe(fc.constantFrom("WAITING", "PENDING", "COMPLETED", "FAILED")),
          priority: maybe(fc.constantFrom(0, 2)),
          limitKeys: maybe(keys),
          stalls: maybe(fc.constantFrom(0, 2)),
          tags: maybe(fc.constantFrom(["b"], ["b", "c"])),
          blocked: maybe(fc.constantFrom("why", null)),
        }),
      ),
      release: maybe(
        fc.record({ wakeIn: delay, wakeSignals: fc.nat(2), keep: maybe(fc.boolean()) }),
        2,
      ),
      extendBy: maybe(fc.constantFrom(10, 40)),
      signals: maybe(fc.array(fc.record({ to: id, id: fc.constantFrom("s1", "s2", "s3") }), few)),
      watches: maybe(fc.array(fc.record({ of: id, id: fc.constantFrom("w1", "w2") }), few)),
      read: maybe(fc.subarray(["s1", "s2", "s3"])),
      runs: maybe(fc.array(newRun, few)),
      value: maybe(fc.record({ value: fc.constantFrom("x", null), expected: maybe(fc.nat(2)) })),
      ordinal: maybe(fc.nat(3)),
      reopen: fc.constantFrom(false, true),
      repeat: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("advance" as const), by: fc.constantFrom(1, 10, 25) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("purge" as const),
      age: fc.constantFrom(-1, 5),
      keepFor: fc.constantFrom(0, 20),
      limit: fc.constantFrom(1, 9),
    }),
  },
);

type Command = typeof commands extends fc.Arbitrary<infer T> ? T : never;
type CommitCommand = Extract<Command, { kind: "commit" }>;
type RunSketch = typeof newRun extends fc.Arbitrary<infer T> ? T : never;

/** Turns commands into calls, the same for all storages, as the first of them stands. */
class Script {
  readonly #clock: ManualClock;
  readonly #storages: Storage[];
  #serial = 0;
  #seq = 0;
  #element: CreateElement | undefined;
  #write: RunWrite | undefined;

  constructor(clock: ManualClock, storages: Storage[]) {
    this.#clock = clock;
    this.#storages = storages;
  }

  /** The second storage goes on in another one. */
  async move(to: Storage, byteBudget: number): Promise<void> {
    const [, from] = this.#storages;
    for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; ) {
      const page = await from?.exportRuns?.({ byteBudget, ...(after && { after }) });
      await to.importRuns?.(page?.items ?? []);
      after = page?.next;
      isFirst = false;
    }
    this.#storages[1] = to;
    // Whoever waits for an answer has got it before the clients were stopped.
    this.#write = undefined;
    await from?.close();
  }

  async step(command: Command): Promise<void> {
    const act = await this.#call(command);
    const answers = [];
    for (const storage of this.#storages) answers.push(await act(storage));
    const states = [];
    for (const storage of this.#storages) states.push(await stateOf(storage));
    expect(answers[1]).toEqual(answers[0]);
    expect(states[1]).toEqual(states[0]);
  }

  async #call(command: Command): Promise<(storage: Storage) => Promise<unknown>> {
    this.#serial += 1;
    switch (command.kind) {
      case "advance":
        this.#clock.advance(command.by);
        // A tombstone may stay until the next purge looks at it.
        return (storage) => storage.purge({ finishedBefore: 0, dedupeUntil: 0, limit: 100 });
      case "purge": {
        const now = this.#clock.now();
        const { age, keepFor, limit } = command;
        // Whoever waits for an answer sends again long before a purge.
        this.#element = undefined;
        return (storage) =>
          storage.purge({ finishedBefore: now - age, dedupeUntil: now + keepFor, limit });
      }
      case "claim":
        return (storage) => claimed(storage, { ...command, claimId: `c${this.#serial}` });
      case "create": {
        if (!command.repeat || this.#element === undefined) {
          const [first, ...further] = this.#group([command.first, ...command.further]);
          const groups = first === undefined ? [] : [{ first, further }];
          this.#element = { createId: `e${this.#serial}`, groups };
        }
        const element = this.#element;
        return (storage) => created(storage, element);
      }
      case "commit": {
        if (!command.repeat || this.#write === undefined)
          this.#write = await this.#writeOf(command);
        const write = this.#write;
        return async (storage) => {
          const [answer] = await storage.commit([write]);
          return { ...answer, reason: undefined, cause: undefined };
        };
      }
    }
  }

  /** No id and no key twice: that a call contradicts itself is nobody's concern. */
  #group(sketches: readonly RunSketch[]): NewRun[] {
    const runs = sketches.map((sketch, index) => this.#run(sketch, index > 0));
    return runs.filter((run, index) => runs.findIndex((each) => each.id === run.id) === index);
  }

  #run(sketch: RunSketch, isChild = false): NewRun {
    const keyed = sketch.key !== undefined && !isChild;
    const { wakeIn, final, leased, deadlineIn, key, keyExpiresIn, ...columns } = sketch;
    const at = (ms: number | null): number | null => (ms === null ? null : this.#clock.now() + ms);
    return {
      ...columns,
      // Nor does an id go with one run and its key with another.
      id: keyed ? `key-${this.#serial}-${sketch.id}` : sketch.id,
      version: "1.0.0",
      status: final ? "FAILED" : "PENDING",
      wakeAt: at(wakeIn),
      deadlineAt: at(deadlineIn),
      payload: `"${this.#serial}"`,
      fingerprint: `${this.#serial}`,
      idempotencyKey: keyed ? key : undefined,
      idempotencyExpiresAt: at(keyExpiresIn),
      lease: leased && !isChild ? { workerId: "w1", leaseMs: 20 } : undefined,
    };
  }

  async #writeOf(command: CommitCommand): Promise<RunWrite> {
    const [storage] = this.#storages;
    const [run] = (await storage?.getRuns([command.id])) ?? [];
    const tasks = (await storage?.listTasks(command.id, 0, 1_000_000))?.tasks ?? [];
    const now = this.#clock.now();
    const { release, patch, value, ordinal, runs, signals, watches, read, extendBy } = command;
    const wakeIn = release?.wakeIn ?? null;
    // Only executions record tasks and write log lines.
    const hasStarted = (run?.startedAt ?? null) !== null;
    return {
      runId: command.id,
      writeId: `w${this.#serial}`,
      guard: {
        // Whoever reopens a run does not hold it.
        epoch: command.reopen ? undefined : given(command.epoch, run?.epoch),
        inbox: given(command.inbox, run?.inbox),
        generation: given(command.generation, run?.generation),
        statuses: command.statuses,
      },
      tasks: hasStarted ? command.tasks?.map((task) => this.#task(task, tasks)) : undefined,
      run: patch,
      release: release && { ...release, wakeAt: wakeIn === null ? null : now + wakeIn },
      leaseUntil: extendBy && now + extendBy,
      signals: signals?.map(({ to, id: name }) => ({ runId: to, id: name, topic: "t", ref: null })),
      watches: watches?.map(({ of, id: name }) => ({ targetId: of, signalId: name, topic: "t" })),
      signalsRead: read,
      runs: runs?.map((each) => this.#run(each, true)),
      values: value && [{ key: "k", ...value }],
      logs:
        ordinal === undefined || !hasStarted
          ? undefined
          : [{ ordinal, stream: "s", path: "", level: "INFO", message: "m", data: null, at: now }],
      reopen: command.reopen || undefined,
    };
  }

  #task(
    { path, seq, replaces, status, topics }: NonNullable<CommitCommand["tasks"]>[number],
    tasks: readonly TaskRecord[],
  ): TaskWrite {
    this.#seq += 1;
    const present = tasks.find((task) => task.path === path);
    return {
      ...{ path, topics, kind: "task", status: status as TaskWrite["status"], attempts: 1 },
      ...{ output: null, error: null, startedAt: 0, finishedAt: null, wakeAt: null, data: null },
      seq: seq === "taken" ? (tasks[0]?.seq ?? this.#seq) : this.#seq,
      replaces: { right: present?.seq, wrong: 9_999, none: undefined }[replaces],
    };
  }
}

function given(how: string, current = 0): number | undefined {
  return how === "none" ? undefined : how === "stale" ? current + 1 : current;
}

/** Without the lease, which a repeated call may not know any more. */
async function created(storage: Storage, element: CreateElement) {
  const [answer] = await storage.createRuns([element]);
  if (answer?.result !== "ok") return answer;
  return answer.groups.map(({ first, further }) =>
    [first, ...further].map(({ leaseUntil: _, ...run }) => run),
  );
}

async function claimed(storage: Storage, request: Omit<ClaimRequest, "leaseMs" | "taskBudget">) {
  const answer = await storage.claimRuns({ ...request, leaseMs: 20, taskBudget: 1_000_000 });
  return {
    now: answer.now,
    overdue: [...answer.overdue].sort(),
    isCutOff: answer.nextDue === answer.now,
    nextDeadline: answer.nextDeadline,
    runs: answer.runs.map(({ tasks, tasksComplete, ...run }) => ({
      ...run,
      tasks: tasks.map(plainTask),
      tasksComplete: run.kept || tasksComplete,
    })),
  };
}

function plainTask({ topics = [], filter = null, ...task }: TaskRecord) {
  return { ...task, topics, filter };
}

async function stateOf(storage: Storage) {
  const all = await storage.listRuns({ limit: 100, internal: true });
  const details = [];
  for (const runId of runIds) {
    const { tasks, complete } = await storage.listTasks(runId, 0, 1_000_000);
    const logs = await storage.listLogs(runId, { limit: 100 });
    details.push({
      tasks: tasks.map(plainTask),
      complete,
      signals: await storage.listSignals(runId),
      logs: logs.map(({ position: _, ...line }) => line),
    });
  }
  const waits = await storage.listWaiting(["t1", "t2"], { limit: 100 });
  const list = async (query: object) =>
    (await storage.listRuns({ limit: 100, ...query })).runs.map((run) => run.id);
  return {
    all: all.runs,
    known: await storage.getRuns(runIds),
    details,
    waits: waits.map(({ task, ...wait }) => ({ ...wait, task: plainTask(task) })),
    tagged: await list({ tag: "b" }),
    ofJob: await list({ jobIds: ["job"] }),
    children: await list({ parentId: "r0" }),
    queued: await list({ statuses: ["QUEUED"] }),
    blocked: await list({ blocked: true }),
    counts: await storage.countRuns(),
    value: (await storage.getValue("k"))?.value,
  };
}

test("memory and sqlite answer the same calls alike", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { minLength: 5, maxLength: 40 }), async (script) => {
      const clock = new ManualClock();
      const storages = [memory(), sqlite({ path: ":memory:", driver: "libsql" })];
      for (const storage of storages) await storage.init({ clock });
      try {
        const run = new Script(clock, storages);
        for (const command of script) await run.step(command);
      } finally {
        for (const storage of storages) await storage.close();
      }
    }),
    { numRuns: Number(process.env.PAWL_AGREEMENT_RUNS ?? 60) },
  );
});

/** No process outlives a move with its executions. */
function withoutKeeping(command: Command): Command {
  if (command.kind !== "commit" || command.release === undefined) return command;
  return { ...command, release: { ...command.release, keep: undefined } };
}

test("a store that has moved answers as one that has not", async () => {
  const part = fc.array(commands.map(withoutKeeping), { minLength: 5, maxLength: 25 });
  const target = fc.constantFrom("memory", "sqlite");
  const budget = fc.constantFrom(1, 1_000, 1_000_000);
  await fc.assert(
    fc.asyncProperty(part, part, target, budget, async (before, after, name, byteBudget) => {
      const clock = new ManualClock();
      const open = (each: string) =>
        each === "memory" ? memory() : sqlite({ path: ":memory:", driver: "libsql" });
      const storages = [memory(), open("sqlite")];
      const other = open(name);
      for (const storage of [...storages, other]) await storage.init({ clock });
      try {
        const run = new Script(clock, storages);
        for (const command of before) await run.step(command);
        await run.move(other, byteBudget);
        for (const command of after) await run.step(command);
      } finally {
        for (const storage of [...storages, other]) await storage.close();
      }
    }),
    { numRuns: Number(process.env.PAWL_AGREEMENT_RUNS ?? 60) },
  );
});
