import type {
  ClaimRequest,
  ClaimResult,
  CommitResult,
  CreateElement,
  CreateResult,
  NewRun,
  NewSignal,
  RunRecord,
  RunWrite,
  Signal,
  Storage,
  TaskRecord,
} from "../../core/storage.js";
import type { ManualClock } from "../manual-clock.js";
import type { TestStore } from "../test-store.js";
import { present, same, that } from "./check.js";
import { resend } from "./resend.js";
import { plain } from "./samples.js";

type Holder = Pick<RunRecord, "id" | "epoch">;
type WriteParts = Partial<Omit<RunWrite, "runId">>;

interface Parts {
  /** Makes one with nothing in it. */
  makeStore(): TestStore | Promise<TestStore>;
  readonly clock: ManualClock;
  readonly leaseMs: number;
}

/** One store under test, two instances on it, and what cases need to be short. */
export class Fixture {
  readonly a: Storage;
  readonly b: Storage;
  readonly clock: ManualClock;
  /** The length of a lease, and the unit of all other durations. */
  readonly leaseMs: number;
  readonly #store: TestStore;
  readonly #makeStore: () => TestStore | Promise<TestStore>;
  readonly #opened: Storage[] = [];
  #other: Fixture | undefined;
  #ids = 0;
  #sender: string | undefined;

  private constructor(
    { store, makeStore, clock, leaseMs }: Parts & { readonly store: TestStore },
    a: Storage,
    b: Storage,
  ) {
    this.#store = store;
    this.#makeStore = makeStore;
    this.a = a;
    this.b = b;
    this.clock = clock;
    this.leaseMs = leaseMs;
    this.#opened.push(a, b);
  }

  static async open(parts: Parts): Promise<Fixture> {
    const store = await parts.makeStore();
    const { clock } = parts;
    const a = await store.open();
    await a.init({ clock });
    const b = await store.open();
    await b.init({ clock });
    return new Fixture({ ...parts, store }, a, b);
  }

  /** A second store, with nothing in it. */
  async other(): Promise<Fixture> {
    const { clock, leaseMs } = this;
    const other = await Fixture.open({ makeStore: this.#makeStore, clock, leaseMs });
    // What it makes has other ids than what comes from here.
    other.#ids = 1_000;
    this.#other = other;
    return other;
  }

  /** One more instance, not initialised. */
  async openAnother(): Promise<Storage> {
    const storage = await this.#store.open();
    this.#opened.push(storage);
    return storage;
  }

  async close(): Promise<void> {
    await this.#other?.close();
    for (const storage of this.#opened) await storage.close();
    await this.#store.dispose?.();
  }

  async advance(ms: number): Promise<void> {
    if (this.#store.advance === undefined) this.clock.advance(ms);
    else await this.#store.advance(ms);
  }

  /** Reads that may lag are caught up with after this. */
  async settleReads(): Promise<void> {
    await this.advance(this.a.capabilities.staleMs);
  }

  /** The store's instant in so many milliseconds. */
  async in(ms: number): Promise<number> {
    return (await this.a.now()) + ms;
  }

  id(kind: string): string {
    this.#ids += 1;
    return `${kind}-${this.#ids}`;
  }

  /** A run of a job of its own, due since ever, unless told otherwise. */
  newRun(columns: Partial<NewRun> = {}): NewRun {
    const id = columns.id ?? this.id("run");
    return {
      id,
      jobId: `job-of-${id}`,
      version: "1.0.0",
      status: "PENDING",
      wakeAt: 0,
      payload: "{}",
      ...columns,
    };
  }

  /** Sends elements until the store has time for them. */
  async createRuns(
    elements: readonly CreateElement[],
    storage: Storage = this.a,
  ): Promise<CreateResult[]> {
    return resend(elements, (some) => storage.createRuns(some));
  }

  async createElement(element: Partial<CreateElement>, storage?: Storage): Promise<CreateResult> {
    const whole = { createId: this.id("create"), groups: [], ...element };
    const [result] = await this.createRuns([whole], storage);
    return present(result, "answer of createRuns");
  }

  async create(columns: Partial<NewRun> = {}, storage?: Storage): Promise<string> {
    const first = this.newRun(columns);
    const { result } = await this.createElement({ groups: [{ first }] }, storage);
    same(result, "ok", "createRuns");
    return first.id;
  }

  /** In this order. */
  async createMany(runs: readonly Partial<NewRun>[]): Promise<string[]> {
    const ids: string[] = [];
    for (const columns of runs) ids.push(await this.create(columns));
    return ids;
  }

  request(parts: Partial<ClaimRequest>): ClaimRequest {
    return {
      claimId: this.id("claim"),
      workerId: "worker",
      jobIds: [],
      limit: 100,
      leaseMs: this.leaseMs,
      limits: {},
      suspects: 1,
      taskBudget: 1_000_000,
      ...parts,
    };
  }

  async claim(parts: Partial<ClaimRequest>, storage: Storage = this.a): Promise<ClaimResult> {
    return storage.claimRuns(this.request(parts));
  }

  async claimIds(parts: Partial<ClaimRequest>, storage?: Storage): Promise<string[]> {
    const { runs } = await this.claim(parts, storage);
    return runs.map(({ run }) => run.id);
  }

  /** Ids that a claim of this run's job gives. */
  async claimJobOf(
    id: string,
    parts: Partial<ClaimRequest> = {},
    storage?: Storage,
  ): Promise<string[]> {
    return this.claimIds({ jobIds: [`job-of-${id}`], ...parts }, storage);
  }

  /** A new run that `worker` holds. */
  async hold(
    columns: Partial<NewRun> = {},
    request: Partial<ClaimRequest> = {},
  ): Promise<RunRecord> {
    const first = this.newRun(columns);
    await this.createElement({ groups: [{ first }] });
    return this.take(first.id, { jobIds: [first.jobId], ...request });
  }

  async take(
    id: string,
    request: Partial<ClaimRequest> = {},
    storage?: Storage,
  ): Promise<RunRecord> {
    const { runs } = await this.claim({ jobIds: [`job-of-${id}`], limit: 1, ...request }, storage);
    const run = present(runs[0]?.run, `claimed run ${id}`);
    same(run.id, id, "claimed run");
    return run;
  }

  /** By the holder. */
  write(run: Holder, parts: WriteParts): RunWrite {
    return { runId: run.id, writeId: this.id("write"), guard: { epoch: run.epoch }, ...parts };
  }

  /** By somebody who does not hold the run. */
  outside(runId: string, parts: WriteParts): RunWrite {
    return { runId, writeId: this.id("write"), guard: {}, ...parts };
  }

  /** Sends writes until the store has time for them, and lets kept effects take place. */
  async commitAll(writes: readonly RunWrite[], storage: Storage = this.a): Promise<CommitResult[]> {
    const results = await resend(writes, (some) => storage.commit(some));
    for (let left = 1; left > 0; ) left = (await storage.deliver?.())?.left ?? 0;
    return results;
  }

  async commit(write: RunWrite, storage?: Storage): Promise<CommitResult> {
    const [result] = await this.commitAll([write], storage);
    return present(result, "answer of commit");
  }

  /** Commits and expects "ok". */
  async ok(write: RunWrite, storage?: Storage): Promise<CommitResult> {
    const result = await this.commit(write, storage);
    same(result.result, "ok", `commit (${result.reason ?? "no reason given"})`);
    return result;
  }

  /** Gives a run back that waits for signals only, unless told otherwise. */
  async park(
    run: Holder,
    release: Partial<RunWrite["release"]> = {},
    parts: WriteParts = {},
  ): Promise<CommitResult> {
    const whole = { wakeAt: null, wakeSignals: 1, ...release };
    return this.ok(this.write(run, { run: { status: "WAITING" }, release: whole, ...parts }));
  }

  async finish(run: Holder): Promise<CommitResult> {
    const finishedAt = await this.a.now();
    return this.ok(this.write(run, { run: { status: "COMPLETED", output: "1", finishedAt } }));
  }

  /** An effect of some other run, which is never due itself. */
  async send(runId: string, signal: Partial<Signal> = {}, storage?: Storage): Promise<string> {
    const sent: NewSignal = { runId, id: this.id("signal"), topic: "topic", ref: null, ...signal };
    await this.ok(this.outside(await this.sender(), { signals: [sent] }), storage);
    return sent.id;
  }

  async sender(): Promise<string> {
    this.#sender ??= await this.create({ wakeAt: null });
    return this.#sender;
  }

  async get(id: string, storage: Storage = this.a): Promise<RunRecord> {
    const [run] = await storage.getRuns([id]);
    return present(run, `run ${id}`);
  }

  async tasks(runId: string, storage: Storage = this.a): Promise<TaskRecord[]> {
    const { tasks, complete } = await storage.listTasks(runId, 0, 100_000_000);
    that(complete, "a great budget has room for all tasks");
    return tasks.map(plain);
  }

  async signalIds(runId: string, storage: Storage = this.a): Promise<string[]> {
    return (await storage.listSignals(runId)).map(({ id }) => id);
  }
}
