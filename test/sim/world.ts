import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../src/core/clock.js";
import type { Storage } from "../../src/core/storage.js";
import { type AnyJob, type Client, createClient } from "../../src/index.js";
import { MemoryData, memory } from "../../src/storage/memory/index.js";
import { sqlite } from "../../src/storage/sqlite/index.js";
import { AtWork } from "./at-work.js";
import type { Faults } from "./faults.js";
import { jobsOf } from "./jobs.js";
import { Ledger } from "./ledger.js";
import { integration, Service } from "./linked.js";
import { EPOCH, Machine } from "./machine.js";
import { Monitor } from "./monitor.js";
import { Network } from "./network.js";
import type { Random } from "./random.js";
import type { Schedule } from "./schedule.js";
import { StoreView } from "./store-view.js";
import { addTickingJobs, DYNAMIC, type Ticking } from "./ticking.js";
import { Violation } from "./violation.js";

export const LEASE_MS = 10_000;

/** Share of the simulations that have schedules: they make many runs. */
const TICKING = 0.2;
/** And those that have a service to connect to. */
const LINKING = 0.25;

/** Fresh data, and as many handles on it as there are machines. */
export interface Store {
  readonly name: string;
  open(clock: Clock): Storage;
  /** Only of a store that is another process: until what it tells by itself was heard. */
  settled?(): Promise<void>;
  /** Chance that calls overlap. Then what the store makes of them is not in the seed. */
  readonly crowd?: number;
  remove(): void | Promise<void>;
}

export function memoryStore(): Store {
  const data = new MemoryData();
  return { name: "memory", open: (clock) => memory({ data, clock }), remove: () => {} };
}

export function sqliteStore(): Store {
  // A simulation may be stopped in the middle: who started it removes what it left.
  const folder = mkdtempSync(join(process.env.PAWL_SIM_FOLDER ?? tmpdir(), "pawl-sim-"));
  const path = join(folder, "sim.db");
  return {
    name: "sqlite",
    open: (clock) => sqlite({ path, durability: "relaxed", clock }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** One store and the machines on it. A machine that dies is replaced. */
export class World {
  readonly schedule: Schedule;
  readonly faults: Faults;
  readonly view: StoreView;
  readonly ledger: Ledger;
  readonly monitor: Monitor;
  readonly machines: Machine[] = [];
  readonly troubles = new Map<string, number>();
  readonly #random: Random;
  readonly #store: Store;
  readonly #atWork: AtWork;
  readonly #opened: Storage[] = [];
  readonly #network: Network;
  readonly #clock: Clock;
  /** Whether there are schedules, and of which kind. */
  readonly ticking: Ticking | undefined;
  /** Undefined: no run needs credentials. */
  readonly service: Service | undefined;
  readonly #versions: Random;
  violation: unknown;
  /** All jobs are registered. */
  isReady = false;
  isOver = false;

  constructor(
    store: Store,
    schedule: Schedule,
    faults: Faults,
    random: Random,
    { ticks, links }: { readonly ticks: Random; readonly links: Random },
  ) {
    this.schedule = schedule;
    this.faults = faults;
    this.#random = random;
    this.#versions = ticks;
    this.ticking = ticks.chance(TICKING) ? ticks.pick(["interval", "interval", "cron"]) : undefined;
    this.#clock = {
      now: () => Math.floor(EPOCH + schedule.now),
      monotonic: () => schedule.now,
      setTimer: (delayMs, callback) => schedule.timer(delayMs, undefined, callback),
    };
    this.service = links.chance(LINKING) ? new Service(links, this.#clock.now) : undefined;
    this.#store = store;
    this.#atWork = new AtWork(store.settled?.bind(store));
    if (store.settled !== undefined) schedule.rest = () => this.#atWork.rest();
    schedule.crowd = store.crowd ?? 0;
    this.view = new StoreView(this.#open());
    this.ledger = new Ledger(this.view, this.#clock.now, () => schedule.turn, LEASE_MS);
    this.monitor = new Monitor(
      this.view,
      this.#clock.now,
      (violation) => this.report(violation),
      store.crowd !== undefined,
    );
    this.#network = new Network(schedule, faults, this.monitor);
  }

  #open(): Storage {
    const storage = this.#store.open(this.#clock);
    this.#opened.push(storage);
    return this.#atWork.counted(storage);
  }

  report(violation: unknown): void {
    if (this.violation === undefined) this.schedule.note(String(violation));
    this.violation ??= violation;
  }

  async begin(machines: number): Promise<void> {
    await this.view.storage.init({ clock: this.#clock });
    for (let index = 0; index < machines; index++) this.boot(index > 0 && this.#random.chance(0.2));
  }

  /** A new process. One that `lacks` jobs does not know those with limits, nor all that hear events. */
  boot(lacks: boolean): void {
    const random = this.#random;
    const skewMs = random.pick([0, 0, 3_600_000, -3_600_000]);
    const machine = new Machine(this.machines.length, this.schedule, skewMs, () => this.#died());
    this.machines.push(machine);
    const report = (violation: unknown) => this.report(violation);
    const all = jobsOf(machine, this.ledger, this.service, report);
    const jobs = lacks ? all.filter(isSimple) : all;
    const client = createClient({
      storage: this.#network.connect(this.#open(), machine, random.chance(0.7)),
      clock: machine.clock,
      jobs,
      leaseMs: LEASE_MS,
      maxParked: random.pick([0, 1, 1000]),
      concurrency: random.pick([1, 3, 100]),
      onError: (error) => this.#trouble(error),
    });
    machine.client = client;
    if (this.service !== undefined)
      client.defineAuthResolver(integration, this.service.resolverOf(machine, report));
    if (this.ticking !== undefined) this.#addTicking(machine, client, lacks);
    void this.#start(machine, !lacks);
  }

  #addTicking(machine: Machine, client: Client, lacks: boolean): void {
    const version = this.#versions.pick(["1.0.0", "1.0.0", "2.0.0"] as const);
    machine.dynamic = lacks
      ? client.defineDynamicSchedule({ id: DYNAMIC })
      : addTickingJobs(client, this.ledger, this.ticking ?? "interval", version);
  }

  async #start(machine: Machine, hasAllJobs: boolean): Promise<void> {
    for (;;) {
      try {
        await machine.client?.start();
        if (hasAllJobs) this.isReady = true;
        return;
      } catch (error) {
        this.#trouble(error);
        await machine.sleep(500);
      }
    }
  }

  #trouble(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (text.startsWith("The storage refused a write")) {
      this.report(new Violation("REFUSED", text));
    }
    if (!text.startsWith("simulated: ")) {
      const kind = text.replaceAll(/[0-9A-Za-z$/]{20,}/g, "…").slice(0, 120);
      this.troubles.set(kind, (this.troubles.get(kind) ?? 0) + 1);
    }
  }

  #died(): void {
    if (this.isOver) return;
    this.schedule.timer(this.#random.int(2 * LEASE_MS), undefined, () => {
      if (!this.isOver) this.boot(false);
    });
  }

  /** By the clock of the store. */
  get now(): number {
    return this.#clock.now();
  }

  get alive(): Machine[] {
    return this.machines.filter((machine) => !machine.isDead);
  }

  /** The process goes away in good order and another one comes. */
  async stop(machine: Machine, timeoutMs: number): Promise<void> {
    machine.disturb();
    try {
      await machine.client?.stop({ timeout: { milliseconds: timeoutMs } });
    } catch (error) {
      this.#trouble(error);
    }
    machine.crash();
  }

  /** Bad weather ends: everybody who lives goes on, and calls arrive. */
  calm(): void {
    this.faults.isOn = false;
    this.schedule.hurry = 0;
    this.monitor.schedules.calmAt = this.#clock.now();
    for (const machine of this.machines) machine.resume();
  }

  async end(): Promise<void> {
    this.isOver = true;
    for (const machine of this.machines) machine.isDead = true;
    for (const storage of this.#opened) await storage.close().catch(() => {});
    await this.#store.remove();
  }
}

function isSimple(job: AnyJob): boolean {
  return ["plain", "hears1", "brief", "poisoned"].includes(job.id);
}
