import type { Io, Task, TaskOptions } from "../../src/index.js";
import type { Execution, Ledger } from "./ledger.js";
import type { Command, Program, TaskCommand } from "./program.js";
import { DYNAMIC_SECONDS, runsSchedule } from "./ticking.js";
import { type CallValue, messageOf, type Result, spoil, type TaskValue, textOf } from "./values.js";
import { Violation } from "./violation.js";

/** Name of the events that runs wait for. */
export const TOLD = "told";

const recorded = new Set<Command["op"]>([
  "task",
  "nested",
  "parallel",
  "waitForAny",
  "wait",
  "invoke",
  "invokeAndWait",
  "batch",
  "event",
  "tell",
  "await",
  "token",
  "count",
  "value",
  "yield",
]);

export interface Place {
  readonly io: Io;
  readonly path: string;
  readonly tag: string;
}

/** Runs one program in one execution and tells the ledger all that it does and sees. */
export class Interpreter {
  readonly #execution: Execution;
  readonly #ledger: Ledger;
  readonly #report: (violation: unknown) => void;

  constructor(execution: Execution, ledger: Ledger, report: (violation: unknown) => void) {
    this.#execution = execution;
    this.#ledger = ledger;
    this.#report = report;
  }

  run(program: Program, io: Io): Promise<Result[]> {
    return this.#commands(program.commands, {
      io,
      path: "",
      tag: String(this.#execution.generation),
    });
  }

  async #commands(commands: readonly Command[], place: Place): Promise<Result[]> {
    const results: Result[] = [];
    for (const command of commands) {
      try {
        results.push({ key: command.key, ok: await this.#command(command, place) });
      } catch (error) {
        if (command.uncaught === true) throw error;
        results.push({ key: command.key, error: messageOf(error) });
      }
    }
    return results;
  }

  async #command(command: Command, place: Place): Promise<unknown> {
    const path = pathOf(place, command.key);
    this.#ledger.counts(command.op);
    const call = this.#ledger.called(this.#execution, path, place.tag, {
      isRecorded: recorded.has(command.op),
      isWait: command.op === "wait",
    });
    try {
      const value = await this.#do(command, place, path);
      const kept = copyOf(value);
      this.#judge(() => this.#ledger.saw(call, { ok: textOf(value) }));
      spoil(value);
      return kept;
    } catch (error) {
      this.#judge(() => this.#ledger.saw(call, { error: messageOf(error) }));
      throw error;
    }
  }

  #judge<T>(judge: () => T): T | undefined {
    try {
      return judge();
    } catch (violation) {
      this.#report(violation);
      return undefined;
    }
  }

  #do(command: Command, place: Place, path: string): Promise<unknown> | unknown {
    const { io, tag } = place;
    const { key } = command;
    switch (command.op) {
      case "task":
        return this.#task(command, place, path);
      case "nested": {
        const { limit, retryMs } = command;
        const options = { retry: { limit, minTimeoutInMs: retryMs, randomize: false } };
        return io.runTask(
          key,
          async (task, inner) => {
            const at = { io: inner, path, tag: `${tag}.${task.attempt}` };
            const body = await this.#commands(command.body, at);
            if (task.attempt <= command.fails) throw new Error(`nested ${path} ${task.attempt}`);
            return { attempt: task.attempt, body };
          },
          options,
        );
      }
      case "all":
        return Promise.all(this.#branches(command.branches, place));
      case "allSettled":
        return this.#allSettled(command.branches, place);
      case "race":
        return Promise.race(this.#branches(command.branches, place));
      case "any":
        return Promise.any(this.#branches(command.branches, place));
      case "waitForAny": {
        const branches = command.branches.map((branch) => [
          branch.key,
          (inner: Io) =>
            this.#command(branch, { io: inner, path: pathOf({ path }, branch.key), tag }),
        ]);
        return io.waitForAny(key, Object.fromEntries(branches));
      }
      case "parallel":
        return io.parallel(
          key,
          command.bodies,
          (body, index, inner) =>
            this.#commands(body, { io: inner, path: `${path}/${index}`, tag: `${tag}.1` }),
          command.concurrency === undefined ? {} : { concurrency: command.concurrency },
        );
      case "wait":
        return io.wait(key, { milliseconds: command.ms });
      case "invoke":
      case "invokeAndWait":
        return this.#call(command, place);
      case "batch":
        return this.#batch(command, place);
      case "event":
        this.#ledger.visits(`event ${command.program.id}`, `${this.#execution.runId} ${tag}`);
        return io.sendEvent(key, { name: "ev", payload: { program: command.program } });
      case "tell":
        return io.sendEvent(key, { name: TOLD, payload: { n: command.n } });
      case "await": {
        const wait = { name: TOLD, filter: { n: [command.n] } };
        return io.waitForEvent(key, wait, { timeout: { milliseconds: command.timeoutMs } });
      }
      case "token": {
        const timeout = { milliseconds: command.timeoutMs };
        return io
          .runTask(`${key}-given`, () => (command.isOwn ? null : this.#ledger.tokenFromOutside()))
          .then((id) => (id === null ? io.createToken(`${key}-made`, { timeout }) : { id }))
          .then((token) => io.waitForToken(key, token));
      }
      case "tick":
        return this.#tick(command, io);
      case "count":
        return io.store[command.place].increment(key, "count");
      case "value":
        return io[command.kind](key);
      case "yield":
        return io.yield(key);
      case "log":
        io.logger.info(`log ${path} ${tag}`);
        return undefined;
      case "throw":
        if (this.#execution.generation <= command.until) throw new Error(`throw ${path}`);
        return undefined;
      case "poison":
        return io.runTask(key, () => {
          this.#ledger.poisoned(this.#execution.runId);
          this.#execution.machine.crash();
          return new Promise<never>(() => {});
        });
    }
  }

  async #tick({ key, ms }: Extract<Command, { op: "tick" }>, io: Io): Promise<unknown> {
    const { machine, runId } = this.#execution;
    const { dynamic } = machine;
    const name = runsSchedule(key, runId);
    await dynamic?.register(name, { seconds: DYNAMIC_SECONDS, catchUp: "all" });
    await io.wait(key, { milliseconds: ms });
    return dynamic?.unregister(name);
  }

  async #task(command: TaskCommand, { io, tag }: Place, path: string): Promise<unknown> {
    const live: object[] = [];
    const options: TaskOptions = {
      mode: command.mode,
      retry: { limit: command.limit, minTimeoutInMs: 300, factor: 2, randomize: false },
    };
    const body = (task: Task) => this.#callback(command, path, tag, task, live);
    const value: unknown = await io.runTask(command.key, body, options);
    for (const object of live) {
      if (object === value) {
        this.#report(new Violation("G5", `${path} gave out what its callback holds`));
      }
      spoil(object);
    }
    return value;
  }

  async #callback(
    command: TaskCommand,
    path: string,
    tag: string,
    task: Task,
    live: object[],
  ): Promise<TaskValue> {
    const { runId, machine, generation } = this.#execution;
    const isOnce = command.mode === "at-most-once";
    const { limit } = command;
    const start = this.#judge(() =>
      this.#ledger.taskStarts(this.#execution, path, tag, task.attempt, { limit, isOnce }),
    );
    this.#judge(() => this.#ledger.idempotencyKey(runId, path, task.idempotencyKey));
    if (command.sleepMs === 5) await machine.turn(`work of ${path}`);
    else if (command.sleepMs > 0) await machine.sleep(command.sleepMs);
    if (generation <= command.failsUntil || task.attempt <= command.fails) {
      throw new Error(`fail ${path} ${task.attempt}`);
    }
    const value: TaskValue = {
      path,
      attempt: task.attempt,
      start: start ?? 0,
      at: new Date(start ?? 0),
      nothing: undefined,
      set: new Set([task.attempt]),
    };
    live.push(value);
    return value;
  }

  #branches(branches: readonly Command[], place: Place): Promise<unknown>[] {
    const started = branches.map((branch) => this.#command(branch, place));
    for (const branch of started) branch.catch(() => {});
    return started;
  }

  async #allSettled(branches: readonly Command[], place: Place): Promise<Result[]> {
    const settled = await Promise.allSettled(this.#branches(branches, place));
    return settled.map((end, index) => {
      const key = branches[index]?.key ?? "";
      return end.status === "fulfilled"
        ? { key, ok: end.value }
        : { key, error: messageOf(end.reason) };
    });
  }

  async #call(
    command: Extract<Command, { op: "invoke" | "invokeAndWait" }>,
    { io }: Place,
  ): Promise<unknown> {
    const { key, job, child, delayMs, timeoutMs, idempotencyKey } = command;
    const options = {
      ...(delayMs > 0 ? { delay: { milliseconds: delayMs } } : undefined),
      ...(idempotencyKey === undefined ? undefined : { idempotencyKey }),
    };
    if (command.op === "invoke") return io.invoke(key, job, { program: child }, options);
    const timeout = timeoutMs === undefined ? {} : { timeout: { milliseconds: timeoutMs } };
    return callValue(
      await io.invokeAndWait(key, job, { program: child }, { ...options, ...timeout }),
    );
  }

  async #batch(command: Extract<Command, { op: "batch" }>, { io }: Place): Promise<CallValue[]> {
    const items = command.children.map((child) => ({ payload: { program: child } }));
    const { concurrency } = command;
    const options = concurrency === undefined ? {} : { concurrency };
    const results = await io.batchInvokeAndWait(command.key, "plain", items, options);
    return results.map(callValue);
  }
}

function callValue(
  result:
    | { ok: true; output: unknown; run: { id: string; status: string } }
    | { ok: false; error: Error; run: { id: string; status: string } },
): CallValue {
  const { ok, run } = result;
  const base = { ok, runId: run.id, status: run.status };
  return ok ? { ...base, output: result.output } : base;
}

function pathOf(place: { readonly path: string }, key: string): string {
  return place.path === "" ? key : `${place.path}/${key}`;
}

/** Results are told apart later by what they were when they came. */
function copyOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? structuredClone(value) : value;
}
