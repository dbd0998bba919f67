import type { Client, Run } from "pawl";
import type { HasLost } from "./check-holders.js";
import { increments, POOL, TOTAL } from "./jobs.js";
import type { Line } from "./ledger.js";

interface Hold {
  readonly key: string;
  readonly pid: string;
  readonly at: number;
}

/** What runs share: the place of a singleton, a limit, a number in the store, and tokens that others complete. */
export class SharedChecker {
  readonly #problems: string[] = [];
  #skipped = 0;
  /** The run that has the place of the singleton, until it is about to end. */
  #alone: { readonly runId: string; isLeaving: boolean } | undefined;
  readonly #over = new Set<string>();
  readonly #held = new Map<string, Hold>();
  readonly #exceeded: (readonly Hold[])[] = [];
  readonly #counted = new Map<string, string>();
  readonly #tokens = new Map<string, string>();
  readonly #answers = new Map<string, string>();

  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Requests that were answered by "another one is open". */
  get skipped(): number {
    return this.#skipped;
  }

  take([what, pid, id = "", third = ""]: Line, at: number): void {
    switch (what) {
      case "skip":
        this.#skipped++;
        break;
      case "enter":
        this.#enters(id);
        break;
      case "leave":
        if (this.#alone?.runId === id) this.#alone.isLeaving = true;
        break;
      case "hold":
        this.#holds(id, { key: third, pid, at });
        break;
      case "free":
        if (this.#held.get(id)?.pid === pid) this.#held.delete(id);
        break;
      case "kill":
        for (const [runId, hold] of this.#held) if (hold.pid === pid) this.#held.delete(runId);
        break;
      case "counted":
        this.#same(this.#counted, id, third, "the count of");
        break;
      case "token":
        this.#same(this.#tokens, id, third, "the token of");
        break;
      case "answer":
        this.#same(this.#answers, id, third, "the answer of token");
    }
  }

  #holds(runId: string, hold: Hold): void {
    this.#held.set(runId, hold);
    const together = [...this.#held.values()].filter(({ key }) => key === hold.key);
    if (together.length > POOL) this.#exceeded.push(together);
  }

  #same(known: Map<string, string>, id: string, value: string, what: string): void {
    if ((known.get(id) ?? value) !== value) this.#problems.push(`${what} ${id} changed`);
    known.set(id, value);
  }

  /** Another one starts when the one before has ended. Of that one a process may still think that it goes on. */
  #enters(runId: string): void {
    if (this.#alone?.runId === runId || this.#over.has(runId)) return;
    if (this.#alone?.isLeaving === false)
      this.#problems.push(`${runId} started while ${this.#alone.runId} was open`);
    if (this.#alone !== undefined) this.#over.add(this.#alone.runId);
    this.#alone = { runId, isLeaving: false };
  }

  /** A process that stood still may not know that it has lost its place. */
  checkLimit(hasLost: HasLost): void {
    for (const holds of this.#exceeded) {
      const until = Math.max(...holds.map(({ at }) => at));
      if (holds.some(({ pid, at }) => hasLost(pid, at, until))) continue;
      this.#problems.push(`${holds.length} runs at a time, by ${holds.map(({ pid }) => pid)}`);
    }
  }

  async compareWith(client: Client, runs: Iterable<Run>): Promise<void> {
    let expected = 0;
    for (const run of runs) {
      expected += increments(run.jobId);
      if (run.jobId === "token") this.#compareToken(run);
    }
    const total = await client.store.env.get(TOTAL);
    if (total !== expected) this.#problems.push(`the total is ${total}, not ${expected}`);
    const counts = [...this.#counted.values()].map(Number).sort((a, b) => a - b);
    if (counts.some((count, index) => count !== index + 1) || counts.length !== expected)
      this.#problems.push(`${expected} increments gave ${counts.join()}`);
  }

  #compareToken({ id, output }: Run): void {
    const answer = this.#answers.get(this.#tokens.get(id) ?? "");
    if (answer === undefined || output !== answer)
      this.#problems.push(`run ${id} got ${output}, and its token was completed with ${answer}`);
  }
}
