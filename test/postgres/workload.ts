import { createClient, invokeTrigger, type Storage } from "pawl";
import { eventually } from "./clients.js";

const RUNS = 60;
const TASKS = 20;

/** Runs with tasks, and a ledger outside the store of what was answered to them. */
export class Workload {
  /** What `runTask` has given, by run and key; it must give the same ever after. */
  readonly #answers = new Map<string, number>();
  readonly contradictions: string[] = [];
  readonly troubles: unknown[] = [];
  readonly #ids: string[] = [];
  readonly client;
  /** Callbacks that were called. */
  effects = 0;

  readonly #reader;

  /** @param calm the same data, by a way on which nothing happens */
  constructor(storage: Storage, calm: Storage) {
    this.#reader = createClient({ storage: calm });
    this.client = createClient({
      storage,
      concurrency: 30,
      leaseMs: 2_000,
      pollMs: 200,
      onError: (error) => this.troubles.push(error),
    });
    this.client.defineJob({
      id: "work",
      trigger: invokeTrigger(),
      run: async (_, io, { run }) => {
        const values: number[] = [];
        for (let n = 0; n < TASKS; n++) {
          const value = await io.runTask(["t", n], () => ++this.effects);
          this.#answered(`${run.id} ${n}`, value);
          values.push(value);
        }
        return values;
      },
    });
  }

  async start(): Promise<void> {
    await this.client.start();
    for (let n = 0; n < RUNS; n++) this.#ids.push((await this.client.invoke("work", { n })).id);
  }

  async stop(): Promise<void> {
    await this.client.stop({ timeout: 0 });
    await this.#reader.stop();
  }

  async ended(): Promise<void> {
    await eventually(async () => {
      const open = await Promise.all(
        this.#ids.map(async (id) => (await this.#reader.getRun(id))?.status),
      );
      return open.every((status) => status === "COMPLETED" || status === "FAILED");
    });
  }

  /** What is wrong with what the store has; nothing, if all is well. */
  async faults(): Promise<string[]> {
    const found = [...this.contradictions];
    for (const id of this.#ids) {
      const run = await this.#reader.getRun(id, { tasks: true });
      const output = run?.output as number[] | undefined;
      if (run?.status !== "COMPLETED") found.push(`${id} is ${run?.status}`);
      if (run?.tasks?.length !== TASKS) found.push(`${id} has ${run?.tasks?.length} records`);
      output?.forEach((value, n) => {
        if (this.#answers.get(`${id} ${n}`) !== value) found.push(`${id} ${n} was lost`);
      });
    }
    return found;
  }

  #answered(task: string, value: number): void {
    const before = this.#answers.get(task);
    if (before !== undefined && before !== value) this.contradictions.push(`${task} changed`);
    this.#answers.set(task, value);
  }
}
