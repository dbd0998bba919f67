import type { Client, ClientOptions, Context, Io, JobOptions, Run, Storage } from "pawl";
import { createClient, defineJob, finalStatuses, invokeTrigger } from "pawl";
import { quiet } from "./under-way.js";
import type { World } from "./world.js";

type Program = (io: Io, context: Context, payload: unknown) => unknown;
type Definition = Partial<JobOptions<unknown, unknown, unknown, Record<never, never>>>;

/** One job that calls `program`. */
export function jobOf(program: Program, options: Definition = {}) {
  return defineJob({
    id: "job",
    trigger: invokeTrigger(),
    ...options,
    run: (payload: unknown, io, context) => program(io, context, payload),
  });
}

/** One run of `program`, and the client that executes it. */
export class Started {
  readonly client: Client;
  readonly id: string;
  readonly #world: World;

  constructor(world: World, client: Client, id: string) {
    this.#world = world;
    this.client = client;
    this.id = id;
  }

  async read(): Promise<Run> {
    const run = await this.client.getRun(this.id, { tasks: true, taskDetails: true });
    if (run === undefined) throw new Error(`run ${this.id} is gone`);
    return run;
  }

  async drain(): Promise<Run> {
    await this.client.drain();
    return this.read();
  }

  /** Drains, and lets time pass to the instant at which the run is due, until the run has ended. */
  async finish(client = this.client): Promise<Run> {
    for (let step = 0; step < 300; step++) {
      await client.drain();
      const run = await this.read();
      if ((finalStatuses as readonly string[]).includes(run.status)) return run;
      const dueAt = await this.#nextDue(client);
      if (dueAt === undefined) throw new Error(`run is ${run.status} and nothing makes it due`);
      const waitMs = dueAt - this.#world.clock.now();
      this.#world.clock.advance({ milliseconds: Math.max(1, waitMs) });
    }
    throw new Error("the run does not end");
  }

  /** When the next open run is due: this one or a child of it. */
  async #nextDue(client: Client): Promise<number | undefined> {
    const { runs } = await client.getRuns({ status: "WAITING", take: 1_000 });
    const instants = runs.flatMap((run) => run.availableAt?.getTime() ?? []);
    return instants.length === 0 ? undefined : Math.min(...instants);
  }
}

export async function start(
  world: World,
  program: Program,
  options: { client?: Omit<ClientOptions, "clock">; job?: Definition; payload?: unknown } = {},
): Promise<Started> {
  const job = jobOf(program, options.job);
  const client = world.client({
    ...options.client,
    jobs: [job, ...(options.client?.jobs ?? [])],
  });
  // A failed run that nobody listens to prints a line.
  client.on("runFailed", () => {});
  const { id } = await client.invoke(job, options.payload ?? {});
  return new Started(world, client, id);
}

/** Starts a run of `program` and drives it to its end. */
export async function runToEnd(
  world: World,
  program: Program,
  options: Parameters<typeof start>[2] = {},
): Promise<Run> {
  return (await start(world, program, options)).finish();
}

/** A process that can be stopped in its tracks: a frozen one gets no answer from the storage. */
export class Machine {
  readonly client: Client;
  #thawed: Promise<void> = Promise.resolve();
  #thaw: () => void = () => {};
  #isFrozen = false;
  #commits = 0;
  #dieAt = Number.POSITIVE_INFINITY;
  #freezeBefore: string | undefined;
  #freezeAfter: string | undefined;

  /** @param around what the process itself puts around its storage */
  constructor(
    world: World,
    options: Omit<ClientOptions, "clock"> = {},
    around: (storage: Storage) => Storage = (storage) => storage,
  ) {
    this.client = createClient({
      clock: world.clock,
      maxParked: world.maxParked,
      onError: (error) => world.troubles.push(error),
      ...options,
      storage: this.#wrap(around(world.storage())),
    });
  }

  /** As SIGSTOP does; without `thaw` as SIGKILL does. */
  freeze(): void {
    this.#isFrozen = true;
    this.#thawed = new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  thaw(): void {
    this.#isFrozen = false;
    this.#thaw();
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Dies instead of making its n-th commit from now. */
  dieAtCommit(n: number): void {
    this.#dieAt = this.#commits + n;
  }

  /** Freezes as it is about to make its next call of this method. */
  freezeBefore(method: keyof Storage): void {
    this.#freezeBefore = method;
  }

  /** Freezes as that is answered. */
  freezeAfter(method: keyof Storage): void {
    this.#freezeAfter = method;
  }

  #freezeAt(name: unknown, wanted: string | undefined): void {
    if (name !== wanted) return;
    this.#freezeBefore = undefined;
    this.#freezeAfter = undefined;
    this.freeze();
  }

  #wrap(storage: Storage): Storage {
    return new Proxy(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]) => {
          if (name === "commit" && ++this.#commits === this.#dieAt) this.freeze();
          this.#freezeAt(name, this.#freezeBefore);
          await this.#thawed;
          const answer: unknown = await value.apply(target, args);
          this.#freezeAt(name, this.#freezeAfter);
          await this.#thawed;
          return answer;
        };
      },
    });
  }
}

/** A promise that the test settles. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/**
 * Lets everything that is ready run; no time passes. Only turns of the event loop in which no storage is at work count, so
 * it is as much for a store behind a socket as for one in memory.
 */
export async function turns(count = 50): Promise<void> {
  for (let turn = 0; turn < count; turn++) await quiet();
}

/** So many turns of the event loop, whatever goes on in them: for work that takes its time. */
export async function takeTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
