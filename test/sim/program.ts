import type { Random } from "./random.js";

/** Which job a program runs in; see jobs.ts. */
export const programJobs = ["plain", "limited", "lanes", "pooled", "brief"] as const;
export type ProgramJob = (typeof programJobs)[number];
/** Jobs whose starts are under a rule; see jobs.ts. */
export const flowJobs = ["rated", "turns", "skipped", "joined", "replaced"] as const;

/** What a run does. It travels as the run's payload and is told by its id in every report. */
export interface Program {
  readonly id: string;
  readonly commands: readonly Command[];
}

interface Keyed {
  readonly key: string;
  /** What it throws ends the code around it; otherwise it is caught and becomes the result. */
  readonly uncaught?: boolean;
}

export interface TaskCommand extends Keyed {
  readonly op: "task";
  readonly fails: number;
  readonly limit: number;
  /** Fails for good in this and earlier generations of the run. */
  readonly failsUntil: number;
  readonly sleepMs: number;
  readonly mode: "at-least-once" | "at-most-once";
}

export type Command =
  | TaskCommand
  | (Keyed & {
      readonly op: "nested";
      readonly body: readonly Command[];
      readonly fails: number;
      readonly limit: number;
      readonly retryMs: number;
    })
  | (Keyed & {
      readonly op: "all" | "allSettled" | "race" | "any" | "waitForAny";
      readonly branches: readonly Command[];
    })
  | (Keyed & {
      readonly op: "parallel";
      readonly bodies: readonly (readonly Command[])[];
      readonly concurrency: number | undefined;
    })
  | (Keyed & { readonly op: "wait"; readonly ms: number })
  | (Keyed & {
      readonly op: "invoke" | "invokeAndWait";
      readonly job: ProgramJob;
      readonly child: Program;
      readonly delayMs: number;
      readonly timeoutMs: number | undefined;
      readonly idempotencyKey: string | undefined;
    })
  | (Keyed & {
      readonly op: "batch";
      readonly children: readonly Program[];
      readonly concurrency: number | undefined;
    })
  | (Keyed & { readonly op: "event"; readonly program: Program })
  /** Tells who waits for this number. */
  | (Keyed & { readonly op: "tell"; readonly n: number })
  | (Keyed & { readonly op: "await"; readonly n: number; readonly timeoutMs: number })
  /** Waits until somebody outside completes a token: one of its own, or one that was made outside. */
  | (Keyed & { readonly op: "token"; readonly timeoutMs: number; readonly isOwn: boolean })
  | (Keyed & { readonly op: "count"; readonly place: "env" | "run" })
  | (Keyed & { readonly op: "value"; readonly kind: "random" | "now" | "uuid" })
  /** Registers a schedule, and unregisters it a while later. */
  | (Keyed & { readonly op: "tick"; readonly ms: number })
  | (Keyed & { readonly op: "yield" | "log" })
  /** Throws, up to this generation. */
  | (Keyed & { readonly op: "throw"; readonly until: number })
  /** Kills the process that starts it, each time. */
  | (Keyed & { readonly op: "poison" });

export type Op = Command["op"];

const MOST_COMMANDS = 20;
/** Few, so that those who wait and those who tell meet. */
const MOST_TOLD = 2;

/** One seed's programs: ids and keys are unique in the whole simulation. */
export class ProgramMaker {
  readonly #random: Random;
  readonly #ticks: number;
  #programs = 0;
  #left = 0;
  #keys = 0;

  constructor(random: Random, hasSchedules: boolean) {
    this.#random = random;
    this.#ticks = hasSchedules ? 0.4 : 0;
  }

  /** At most 20 commands, those of its children included. */
  program(): Program {
    this.#left = this.#random.between(1, MOST_COMMANDS);
    return this.#program(0);
  }

  /** A run that kills every process that executes it. */
  poison(): Program {
    const id = `poison${this.#programs++}`;
    return { id, commands: [this.#task(), { op: "poison", key: "poison" }] };
  }

  small(): Program {
    this.#left = 3;
    return this.#program(2);
  }

  #program(depth: number): Program {
    const id = `p${this.#programs++}`;
    const count = depth === 0 ? MOST_COMMANDS : this.#random.between(1, 3);
    return { id, commands: this.#commands(count, depth) };
  }

  #commands(most: number, depth: number): Command[] {
    const commands: Command[] = [];
    while (commands.length < most && this.#left > 0) commands.push(this.#command(depth));
    return commands;
  }

  #key(): string {
    return `k${this.#keys++}`;
  }

  #command(depth: number): Command {
    const deep = depth >= 3 ? 0 : 1;
    const top = depth === 0 ? 1 : 0;
    const op = this.#random.weighted<Op>({
      task: 6,
      wait: 2,
      log: 1,
      value: 1,
      event: 0.7,
      tell: 0.7,
      await: 0.5,
      token: 0.4,
      count: 0.7,
      yield: top * 0.8,
      throw: top * 0.3,
      tick: this.#ticks,
      nested: deep * 1.5,
      all: deep,
      allSettled: deep * 0.7,
      race: deep,
      any: deep * 0.7,
      waitForAny: deep,
      parallel: deep,
      invokeAndWait: deep * 2,
      invoke: deep * 0.7,
      batch: deep * 0.7,
      poison: 0,
    });
    this.#left--;
    return this.#made(op, depth);
  }

  #made(op: Op, depth: number): Command {
    const random = this.#random;
    const key = this.#key();
    const uncaught = random.chance(0.15);
    switch (op) {
      case "task":
        return { ...this.#task(), uncaught };
      case "wait":
        return { op, key, ms: random.pick([1, 50, 1_000, 7_000, 40_000]) };
      case "nested": {
        const limit = random.between(1, 3);
        const fails = random.chance(0.4) ? random.between(1, limit) : 0;
        const retryMs = random.pick([0, 200]);
        const body = this.#commands(3, depth + 1);
        // The next attempt meets what the losers of a race are still doing.
        if (fails > 0 && this.#left > 0 && random.chance(0.5)) body.push(this.#made("race", depth));
        return { op, key, uncaught, fails, limit, retryMs, body };
      }
      case "all":
      case "allSettled":
      case "race":
      case "any":
      case "waitForAny":
        return { op, key, uncaught, branches: this.#branches(depth) };
      case "parallel": {
        const bodies = Array.from({ length: random.between(1, 3) }, () =>
          this.#commands(2, depth + 1),
        );
        const concurrency = random.pick([undefined, 1, 2]);
        return { op, key, uncaught, bodies, concurrency };
      }
      case "invoke":
      case "invokeAndWait":
        return { ...this.#call(op, depth), uncaught };
      case "batch": {
        const children = Array.from({ length: random.between(1, 3) }, () =>
          this.#program(depth + 1),
        );
        return { op, key, uncaught, children, concurrency: random.pick([undefined, undefined, 1]) };
      }
      case "event":
        return { op, key, program: { id: `e${this.#programs++}`, commands: [this.#task()] } };
      case "tell":
        return { op, key, n: random.int(MOST_TOLD) };
      case "await":
        return {
          op,
          key,
          uncaught,
          n: random.int(MOST_TOLD),
          timeoutMs: random.pick([9_000, 40_000]),
        };
      case "token":
        return {
          op,
          key,
          uncaught,
          timeoutMs: random.pick([3_000, 30_000]),
          isOwn: random.chance(0.5),
        };
      case "count":
        return { op, key, place: random.pick(["env", "env", "run"] as const) };
      case "value":
        return { op, key, kind: random.pick(["random", "now", "uuid"] as const) };
      case "tick":
        return { op, key, uncaught, ms: random.pick([100, 8_000, 12_000]) };
      case "throw":
        return { op, key, uncaught: true, until: random.pick([1, 1, 2, 99]) };
      case "yield":
      case "log":
      case "poison":
        return { op, key };
    }
  }

  #task(): TaskCommand {
    const random = this.#random;
    const limit = random.pick([1, 1, 2, 4]);
    const atMostOnce = random.chance(0.1);
    return {
      op: "task",
      key: this.#key(),
      fails: atMostOnce || random.chance(0.6) ? 0 : random.between(1, limit),
      limit: atMostOnce ? 1 : limit,
      failsUntil: random.chance(0.07) ? random.pick([1, 99]) : 0,
      sleepMs: random.pick([0, 0, 0, 5, 300, 4_000]),
      mode: atMostOnce ? "at-most-once" : "at-least-once",
    };
  }

  #branches(depth: number): Command[] {
    const branches: Command[] = [];
    const count = this.#random.between(2, 4);
    for (let index = 0; index < count; index++) {
      const op = this.#random.weighted<Op>({
        task: 5,
        wait: 3,
        await: 0.5,
        token: 0.5,
        invokeAndWait: depth < 2 ? 2 : 0,
        nested: depth < 2 ? 1 : 0,
      } as Readonly<Record<Op, number>>);
      this.#left--;
      branches.push({ ...this.#made(op, depth + 1), uncaught: true });
    }
    return branches;
  }

  #call(op: "invoke" | "invokeAndWait", depth: number): Command {
    const random = this.#random;
    const shared = random.chance(0.35);
    return {
      op,
      key: this.#key(),
      job: random.weighted({ plain: 5, limited: 1, lanes: 1, pooled: 1, brief: 0.5 }),
      child: shared ? SHARED : this.#program(depth + 1),
      delayMs: random.chance(0.15) ? 3_000 : 0,
      timeoutMs:
        op === "invokeAndWait" && random.chance(0.15) ? random.pick([500, 9_000]) : undefined,
      idempotencyKey: shared ? `shared-${random.int(2)}` : undefined,
    };
  }
}

/** Started under the same idempotency keys by many. */
export const SHARED: Program = {
  id: "shared",
  commands: [sharedTask("one", 20), { op: "wait", key: "pause", ms: 700 }, sharedTask("two", 300)],
};

function sharedTask(key: string, sleepMs: number): TaskCommand {
  return {
    op: "task",
    key,
    fails: 1,
    limit: 2,
    failsUntil: 0,
    sleepMs,
    mode: "at-least-once",
  };
}
