import type { AnyJob, Client, ClientOptions } from "pawl";
import { isPawlError } from "pawl";
import { Process } from "./process.js";
import type { Stage } from "./stage.js";

const RETRY_MS = 1_000;
const MAX_TRIES = 300;
const DEAD = Symbol("dead");

export type Command<T> = (client: Client) => Promise<T>;

/** A place for a process: who dies is replaced, and commands are sent again until they are answered. */
export class Host {
  readonly #stage: Stage;
  readonly #name: string;
  readonly #jobs: (process: Process) => readonly AnyJob[];
  readonly #options: Omit<ClientOptions, "clock" | "storage" | "jobs">;
  readonly #processes: Process[] = [];
  #starts = false;
  #current: Process;

  constructor(
    stage: Stage,
    name: string,
    jobs: (process: Process) => readonly AnyJob[],
    options: Omit<ClientOptions, "clock" | "storage" | "jobs">,
  ) {
    this.#stage = stage;
    this.#name = name;
    this.#jobs = jobs;
    this.#options = options;
    this.#current = this.#spawn();
  }

  #spawn(): Process {
    const number = this.#processes.length + 1;
    const process = new Process(this.#stage, `${this.#name}#${number}`, this.#jobs, this.#options);
    this.#processes.push(process);
    void process.death.then(() => {
      this.#current = this.#spawn();
      this.#stage.sign();
      if (this.#starts) this.#startAgain();
    });
    return process;
  }

  #startAgain(): void {
    this.start().catch((error) => this.#stage.fail(error));
  }

  /** As a supervisor does: also whoever takes the place later is started. */
  async start(): Promise<void> {
    this.#starts = true;
    await this.command((client) => client.start());
  }

  /** Ends this place: it is not taken again, also if the process dies on its way out. */
  async stop(options: { readonly timeout: string }): Promise<void> {
    this.#starts = false;
    const process = this.#current;
    const stopping = process.client.stop(options).catch((error) => {
      if (!isPawlError(error, "STORAGE_FAILED")) throw error;
    });
    await Promise.race([stopping, process.death]);
  }

  /** Sends a command until it is answered, as a caller does who knows that it may be repeated. */
  async command<T>(send: Command<T>): Promise<T> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const process = this.#current;
      const answer = await Promise.race([
        this.#answer(process, send),
        process.death.then((): typeof DEAD => DEAD),
      ]);
      if (answer === DEAD) {
        this.#stage.repeats++;
        continue;
      }
      if ("value" in answer) return answer.value;
      if (!isPawlError(answer.error, "STORAGE_FAILED")) throw answer.error;
      await this.#stage.pause(RETRY_MS);
    }
    throw new Error("The command was never answered.");
  }

  async #answer<T>(
    process: Process,
    send: Command<T>,
  ): Promise<{ readonly value: T } | { readonly error: unknown }> {
    try {
      return { value: await send(process.client) };
    } catch (error) {
      return { error };
    }
  }

  async close(): Promise<void> {
    for (const process of this.#processes) {
      if (!process.isDead) await process.client.stop({ timeout: 0 });
      await process.closeStore();
    }
  }
}
