import type { AnyJob, ClientOptions, Storage, StorageError } from "pawl";
import type { Clock } from "../../src/core/clock.js";
import { isFinal } from "../../src/core/run-status.js";
import type { RunRecord } from "../../src/core/storage.js";
import { assertNoOrphan } from "./checks.js";
import { awayMs, type FaultPlan, type Fired, refusal } from "./faults.js";
import { Host } from "./host.js";
import { Ledger } from "./ledger.js";
import type { Process } from "./process.js";
import { SweepClock } from "./sweep-clock.js";

/** Turns of the event loop without a sign of life before time passes. */
const QUIET_TURNS = 12;
/** Far beyond what any scenario does without time passing: more is a loop. */
const MAX_TURNS = 20_000;
const MAX_STEPS = 3_000;
const MAX_MS = 3_600_000;

/** What becomes of one storage call. */
export interface Act {
  readonly kind?: FaultPlan["kind"];
  readonly refused?: StorageError;
  readonly lost?: StorageError;
}

/** Fresh data, and as many handles on it as a play has processes. */
export interface Store {
  open(clock: Clock): Storage;
  /** Until what the store tells by itself was heard. */
  settled?(): Promise<void>;
  dispose(): void | Promise<void>;
}

export interface HostOptions extends Omit<ClientOptions, "clock" | "storage" | "jobs"> {
  readonly jobs?: (process: Process) => readonly AnyJob[];
}

/** One store, one clock, processes that come and go, and at most one fault. */
export class Stage {
  readonly clock = new SweepClock(() => this.sign());
  readonly ledger = new Ledger();
  readonly troubles: unknown[] = [];
  readonly #store: Store;
  /** Reads the store past all faults. */
  readonly observer: Storage;
  readonly #plan: FaultPlan | undefined;
  readonly #maxParked: number;
  readonly #hosts: Host[] = [];
  readonly #calls = new Map<string, number>();
  readonly #conditions = new Set<{ check: () => Promise<boolean>; resolve: () => void }>();
  fired: Fired | undefined;
  /** Commands that were sent again, since the process that got them died. */
  repeats = 0;
  /** Runs wait for what the script has yet to send. */
  isAwaited = false;
  /** It came to no good end: what its processes still ask for must not reach a store that others use after it. */
  isAbandoned = false;
  #isAway = false;
  #signs = 0;
  #underWay = 0;
  /** While no storage is at work. */
  #answered = Promise.resolve();
  #allAnswered = () => {};
  #failure: unknown;
  #isOver = false;

  constructor(store: Store, maxParked: number, plan?: FaultPlan) {
    this.#maxParked = maxParked;
    this.#store = store;
    this.observer = this.#awaited(this.openStore());
    this.#plan = plan;
  }

  /** No time passes before it answers. */
  #awaited(storage: Storage): Storage {
    return new Proxy(storage, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => this.underWay(() => Reflect.apply(member, target, args));
      },
    });
  }

  openStore(): Storage {
    return this.#store.open(this.clock);
  }

  /** A process that is replaced when it dies. */
  host(name: string, { jobs = () => [], ...options }: HostOptions = {}): Host {
    const host = new Host(this, name, jobs, { maxParked: this.#maxParked, ...options });
    this.#hosts.push(host);
    return host;
  }

  callsOf(hostName: string): number {
    return this.#calls.get(hostName) ?? 0;
  }

  /** Something happens: time does not pass yet. */
  sign(): void {
    this.#signs++;
  }

  fail(error: unknown): void {
    this.#failure ??= error;
  }

  // ---- storage calls

  nextAct(process: Process, method: string): Act {
    this.sign();
    const host = process.name.replace(/#.*$/, "");
    if (process.name === `${host}#1` && !this.#isOver)
      this.#calls.set(host, this.callsOf(host) + 1);
    const plan = this.#plan;
    if (
      plan !== undefined &&
      this.fired === undefined &&
      process.name === `${plan.host}#1` &&
      this.callsOf(host) === plan.call
    ) {
      this.fired = { kind: plan.kind, method, at: this.clock.elapsedMs };
      return this.#fire(plan.kind, `${plan.kind} at call ${plan.call}, ${method}`);
    }
    return this.#isAway ? { refused: refusal(`away at ${method}`) } : {};
  }

  #fire(kind: FaultPlan["kind"], what: string): Act {
    const outage = awayMs[kind];
    if (outage !== undefined) {
      this.#isAway = true;
      this.clock.setTimer(outage, () => {
        this.#isAway = false;
      });
      return { refused: refusal(what) };
    }
    if (kind === "error once") return { refused: refusal(what) };
    return kind === "answer lost" ? { kind, lost: refusal(what) } : { kind };
  }

  async underWay<T>(apply: () => Promise<T>): Promise<T> {
    if (this.#underWay++ === 0) {
      this.#answered = new Promise((resolve) => {
        this.#allAnswered = resolve;
      });
    }
    try {
      return await apply();
    } finally {
      this.sign();
      if (--this.#underWay === 0) this.#allAnswered();
    }
  }

  // ---- for scripts

  /** Goes on once it is so. */
  async until(check: () => Promise<boolean> | boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#conditions.add({ check: async () => check(), resolve });
      this.sign();
    });
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.setTimer(ms, resolve);
    });
  }

  async run(id: string): Promise<RunRecord> {
    const [run] = await this.observer.getRuns([id]);
    if (run === undefined) throw new Error(`Run ${id} was acknowledged and is not there.`);
    return run;
  }

  async ended(...ids: readonly string[]): Promise<void> {
    await this.until(async () =>
      (await Promise.all(ids.map((id) => this.run(id)))).every((run) => isFinal(run.status)),
    );
  }

  async runs(): Promise<readonly RunRecord[]> {
    const { runs } = await this.observer.listRuns({ internal: true, limit: 1_000 });
    return [...runs].reverse();
  }

  // ---- passing time

  /** Lets the script, and then everything that it started, come to its end. */
  async play(script: Promise<void>): Promise<void> {
    await this.observer.init({ clock: this.clock });
    await this.#drive(script);
    await this.#drive(
      this.until(async () => (await this.runs()).every((run) => isFinal(run.status))),
    );
    this.#isOver = true;
  }

  async #drive(script: Promise<void>): Promise<void> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
      this.sign();
    };
    script.then(settle, settle);
    for (let steps = 0; ; steps++) {
      await this.#quiet();
      if (this.#failure !== undefined) throw this.#failure;
      if (isSettled) return script;
      if (await this.#meetConditions()) continue;
      if (!this.isAwaited) assertNoOrphan(await this.runs());
      const isStuck = steps > MAX_STEPS || this.clock.elapsedMs > MAX_MS || !this.clock.advance();
      if (isStuck) throw new Error(`Stuck: ${await this.#describe()}`);
    }
  }

  async #quiet(): Promise<void> {
    await this.#rest();
    if (this.#store.settled === undefined) return;
    for (let seen = -1; seen !== this.#signs; ) {
      seen = this.#signs;
      await this.#store.settled();
      await this.#rest();
    }
  }

  async #rest(): Promise<void> {
    let seen = this.#signs;
    let turns = 0;
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      await this.#answered;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (seen === this.#signs && this.#underWay === 0) continue;
      if (++turns > MAX_TURNS) throw new Error(`It never rests: ${await this.#describe()}`);
      seen = this.#signs;
      quiet = 0;
    }
  }

  async #meetConditions(): Promise<boolean> {
    let met = false;
    for (const condition of [...this.#conditions]) {
      if (!(await condition.check())) continue;
      this.#conditions.delete(condition);
      condition.resolve();
      met = true;
    }
    return met;
  }

  async #describe(): Promise<string> {
    const now = this.clock.now();
    const open = (await this.runs()).filter((run) => !isFinal(run.status));
    const lines = open.map(
      (run) =>
        `${run.jobId} ${run.id} ${run.status} due in ${(run.dueAt ?? Number.NaN) - now} ms, lease for ${(run.leaseUntil ?? Number.NaN) - now} ms, epoch ${run.epoch}, blocked ${run.blocked}`,
    );
    const troubles = this.troubles.slice(-3).map((error) => String(error));
    return [`${this.clock.elapsedMs} ms`, ...lines, ...troubles].join("\n  ");
  }

  /** Ends all clients. The fault is over. */
  async close(): Promise<void> {
    this.#isOver = true;
    this.#isAway = false;
    const closing = Promise.all(this.#hosts.map((host) => host.close())).then(() => {});
    await this.#drive(closing);
    await this.observer.close();
  }
}
