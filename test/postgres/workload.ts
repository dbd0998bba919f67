import { createClient, invokeTrigger, type Storage } from "pawl";
import { eventually } from "../eventually.js";

const RUNS = 60;
const TASKS = 20;
const AT_A_TIME = 20;

/** Runs with tasks, and a ledger outside the store of what was answered to them. */
export class Workload {
  /** What `runTask` has given, by run and key; it must give the same ever after. */
  readonly #answers = new Map<string, number>();
  readonly contradictions: string[] = [];
  readonly troubles: unknown[] = [];
  /** Of runs that were acknowledged. */
  readonly #ids: string[] = [];
  readonly client;
  /** Callbacks that were called. */
  effects = 0;
  #asked = 0;

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
    await this.#inSpiteOfTrouble(() => this.client.start());
    await this.#ask(RUNS);
  }

  /** Tasks whose results the runs have got. */
  get done(): number {
    return this.#answers.size;
  }

  /** Tasks that nobody has got a result of yet. */
  get left(): number {
    return this.#asked * TASKS - this.done;
  }

  /** Asks for more runs until there are so many tasks to do. */
  async refill(tasks: number): Promise<void> {
    while (this.left < tasks) await this.#ask(AT_A_TIME);
  }

  async #ask(runs: number): Promise<void> {
    const first = this.#asked;
    this.#asked += runs;
    const requests = Array.from({ length: runs }, async (_, n) => {
      const idempotencyKey = `run-${first + n}`;
      // The answer to the call before may have been lost: the key finds its run.
      const { id } = await this.#inSpiteOfTrouble(() =>
        this.client.invoke("work", { n }, { idempotencyKey }),
      );
      this.#ids.push(id);
    });
    await Promise.all(requests);
  }

  async #inSpiteOfTrouble<T>(call: () => Promise<T>): Promise<T> {
    const answers: T[] = [];
    await eventually(async () => {
      await call().then(
        (answer) => answers.push(answer),
        (error) => this.troubles.push(error),
      );
      return answers.length > 0;
    });
    return answers[0] as T;
  }

  async stop(): Promise<void> {
    await this.client.stop({ timeout: 0 });
    await this.#reader.stop();
  }

  async ended(): Promise<void> {
    await eventually(async () => {
      const { COMPLETED = 0, FAILED = 0 } = (await this.#reader.stats()).runs;
      return COMPLETED + FAILED >= this.#asked;
    });
  }

  /** What is wrong with what the store has; nothing, if all is well. */
  async faults(): Promise<string[]> {
    const found = [...this.contradictions];
    if (this.done !== this.#asked * TASKS)
      found.push(`${this.done} tasks were done instead of ${this.#asked * TASKS}`);
    const { COMPLETED } = (await this.#reader.stats()).runs;
    if (COMPLETED !== this.#asked) found.push(`${COMPLETED} runs for ${this.#asked} requests`);
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
