import type { AnyJob, Client, ClientOptions, Io, Storage, Task, TaskOptions } from "pawl";
import { createClient } from "pawl";
import type { CommitResult, RunWrite } from "../../src/core/storage.js";
import { LEASE_MS } from "./faults.js";
import type { Stage } from "./stage.js";

type Call = (...args: unknown[]) => Promise<unknown>;
type Body<T> = (task: Task, io: Io) => T | Promise<T>;

/** One client as a process of its own: when it dies, nothing of it ever continues. */
export class Process {
  readonly name: string;
  readonly client: Client;
  /** Resolves when it dies. */
  readonly death: Promise<void>;
  readonly stage: Stage;
  readonly #clock: ReturnType<Stage["clock"]["ofProcess"]>;
  readonly #raw: Storage;
  #isDead = false;
  #died: () => void = () => {};

  constructor(
    stage: Stage,
    name: string,
    jobs: (process: Process) => readonly AnyJob[],
    options: Omit<ClientOptions, "clock" | "storage" | "jobs">,
  ) {
    this.stage = stage;
    this.name = name;
    this.death = new Promise((resolve) => {
      this.#died = resolve;
    });
    this.#clock = stage.clock.ofProcess();
    this.#raw = stage.openStore();
    this.client = createClient({
      clock: this.#clock.clock,
      storage: this.#watched(this.#raw),
      leaseMs: LEASE_MS,
      // What goes wrong is seen in the store; the sweep makes it go wrong thousands of times.
      onError: (error) => stage.troubles.push(error),
      ...options,
      jobs: jobs(this),
    });
    for (const event of ["runFailed", "runBlocked"] as const) this.client.on(event, () => {});
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  die(): void {
    this.#isDead = true;
    this.#clock.kill();
    this.stage.ledger.died(this.name);
    this.#died();
  }

  async closeStore(): Promise<void> {
    await this.#raw.close();
  }

  #watched(storage: Storage): Storage {
    return new Proxy(storage, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) =>
          this.#call(String(name), args, () => Reflect.apply(member as Call, target, args));
      },
    });
  }

  async #call(method: string, args: unknown[], apply: () => Promise<unknown>): Promise<unknown> {
    const { stage } = this;
    if (this.#isDead || stage.isAbandoned) return never();
    const act = stage.nextAct(this, method);
    if (act.refused !== undefined) throw act.refused;
    if (act.kind === "crash before") {
      this.die();
      return never();
    }
    const answer = await stage.underWay(apply);
    if (method === "commit")
      stage.ledger.committed(args[0] as RunWrite[], answer as CommitResult[]);
    if (act.kind === "crash after") this.die();
    if (this.#isDead) return never();
    if (act.lost !== undefined) throw act.lost;
    return answer;
  }

  // ---- for the jobs of a scenario

  /** A task whose executions are counted. */
  task<T>(io: Io, key: string, body: Body<T>, options: TaskOptions<T> = {}): Promise<T> {
    const counted = async (task: Task, inner: Io): Promise<T> => {
      if (this.#isDead) return never();
      this.stage.sign();
      this.stage.ledger.started(task.id);
      return body(task, inner);
    };
    return io.runTask(key, counted as never, options) as Promise<T>;
  }

  /** Something outside of tasks happened, such as the call of a hook. */
  note(what: string): void {
    if (!this.#isDead) this.stage.ledger.note(what);
  }

  /** Takes a place among at most `limit`, for one macrotask. */
  async occupy(group: string, who: string, limit: number): Promise<void> {
    if (this.#isDead) return never();
    const leave = this.stage.ledger.enter(group, `${this.name} ${who}`, limit);
    await new Promise<void>((resolve) => setImmediate(resolve));
    leave();
  }
}

export function never(): Promise<never> {
  return new Promise(() => {});
}
