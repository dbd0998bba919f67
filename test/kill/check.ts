import type { Client, Run, TaskView } from "pawl";
import { type HasLost, HolderChecker } from "./check-holders.js";
import { SharedChecker } from "./check-shared.js";
import { expectedTasks } from "./jobs.js";
import type { Line } from "./ledger.js";

export interface Verdict {
  readonly runs: number;
  readonly tasks: number;
  readonly executions: number;
  readonly repeated: number;
  readonly kills: number;
  readonly killsInFlight: number;
  readonly stalls: number;
  /** Commits for which the store took so long that leases may have run out. */
  readonly slowCommits: number;
  /** Callbacks that ended when another worker had recorded another result. */
  readonly lateEnds: number;
  readonly problems: readonly string[];
}

/** Compares what happened, by the ledger, with what is stored. */
export async function check(
  client: Client,
  lines: readonly Line[],
  askedFor: number,
): Promise<Verdict> {
  const checker = new Checker();
  for (const [index, line] of lines.entries()) checker.take(line, index);
  checker.checkRepeats();
  checker.checkHolders();
  await checker.compareWith(client, askedFor);
  return checker.verdict;
}

interface Start {
  readonly pid: string;
  readonly at: number;
}

interface Loss {
  readonly at: number;
  /** The process says it itself, when it goes on. */
  readonly isToldLate: boolean;
}

class Checker {
  readonly #problems: string[] = [];
  readonly #seen = new Map<string, string>();
  readonly #starts = new Map<string, Start[]>();
  readonly #open = new Map<string, Set<string>>();
  readonly #ended = new Set<string>();
  /** Lines that say that a process may have lost what it was about. */
  readonly #losses = new Map<string, Loss[]>();
  /** Lines after which any process may have: nobody could write, so no lease could be extended. */
  readonly #standstills: number[] = [];
  readonly #acknowledged: string[] = [];
  /**
   * Stopped, and not yet told how long it stood still. One stopped between a look at its lease and the start that
   * follows in the same turn starts that task: nothing can prevent it.
   */
  readonly #unaware = new Set<string>();
  readonly #shared = new SharedChecker();
  readonly #holders = new HolderChecker();
  #kills = 0;
  #killsInFlight = 0;
  #stalls = 0;
  #slowCommits = 0;
  #lateEnds = 0;
  #repeated = 0;
  #runs = 0;

  get verdict(): Verdict {
    return {
      runs: this.#runs,
      tasks: this.#ended.size,
      executions: [...this.#starts.values()].reduce((sum, starts) => sum + starts.length, 0),
      repeated: this.#repeated,
      kills: this.#kills,
      killsInFlight: this.#killsInFlight,
      stalls: this.#stalls,
      slowCommits: this.#slowCommits,
      lateEnds: this.#lateEnds,
      problems: [...this.#problems, ...this.#shared.problems],
    };
  }

  take(line: Line, at: number): void {
    this.#shared.take(line, at);
    this.#holders.take(line, at);
    const [what, pid, id = "", third = "", nonce = ""] = line;
    const open = this.#open.get(pid) ?? new Set();
    this.#open.set(pid, open);
    switch (what) {
      case "start":
        if (this.#seen.has(id) && !this.#unaware.has(pid))
          this.#problem(`${id} was started again after its record, by ${pid}`);
        push(this.#starts, `${id} ${third}`, { pid, at });
        open.add(id);
        break;
      case "end":
        open.delete(id);
        this.#ended.add(id);
        if (this.#seen.has(id) && this.#seen.get(id) !== nonce) this.#lateEnds++;
        break;
      case "seen":
        if ((this.#seen.get(id) ?? third) !== third) this.#problem(`the record of ${id} changed`);
        this.#seen.set(id, third);
        break;
      case "ack":
        this.#acknowledged.push(id);
        break;
      case "kill":
        this.#kills++;
        if (open.size > 0) this.#killsInFlight++;
        open.clear();
        push(this.#losses, pid, { at, isToldLate: false });
        break;
      case "stall":
        this.#stalls++;
        this.#unaware.delete(pid);
        push(this.#losses, pid, { at, isToldLate: true });
        break;
      case "slow":
        this.#slowCommits++;
        push(this.#losses, pid, { at, isToldLate: true });
        break;
      case "standstill":
        this.#standstills.push(at);
        break;
      case "stop":
        this.#unaware.add(pid);
        push(this.#losses, pid, { at, isToldLate: false });
        break;
      case "cont":
        push(this.#losses, pid, { at, isToldLate: false });
    }
  }

  /** Each execution but the last must have been cut off by a kill, a stop or a stall of its process. */
  checkRepeats(): void {
    for (const [id, starts] of this.#starts) {
      if (starts.length > 1) this.#repeated++;
      for (const [index, next] of starts.slice(1).entries()) {
        const { pid, at } = starts[index] as Start;
        if (!this.#hasLost(pid, at, next.at))
          this.#problem(`${id} was repeated by ${next.pid} although ${pid} was not disturbed`);
      }
    }
  }

  checkHolders(): void {
    const hasLost: HasLost = (pid, since, until) => this.#hasLost(pid, since, until);
    for (const problem of this.#holders.problems(hasLost)) this.#problem(problem);
  }

  #hasLost(pid: string, since: number, until: number): boolean {
    const losses = this.#losses.get(pid) ?? [];
    return (
      this.#standstills.some((at) => at > since) ||
      losses.some(({ at, isToldLate }) => at > since && (isToldLate || at < until))
    );
  }

  async compareWith(client: Client, askedFor: number): Promise<void> {
    const stored = await allRuns(client);
    this.#runs = stored.size;
    const roots = [...stored.values()].filter((run) => run.parentId === undefined);
    const answered = roots.length + this.#shared.skipped;
    if (answered !== askedFor) this.#problem(`${answered} runs for ${askedFor} requests`);
    for (const id of this.#acknowledged) {
      if (!stored.has(id)) this.#problem(`run ${id} was acknowledged and is lost`);
    }
    let recorded = 0;
    for (const run of stored.values()) {
      if (run.status !== "COMPLETED") this.#problem(`run ${run.id} is ${run.status}`);
      recorded += await this.#compareTasks(client, run);
    }
    this.#shared.checkLimit((pid, since, until) => this.#hasLost(pid, since, until));
    await this.#shared.compareWith(client, stored.values());
    const expected = roots.reduce((sum, { jobId }) => sum + expectedTasks(jobId), 0);
    if (recorded !== expected) this.#problem(`${recorded} tasks recorded instead of ${expected}`);
    if (this.#ended.size < 0.8 * expected) {
      this.#problem(`only ${this.#ended.size} of ${expected} tasks were executed`);
    }
  }

  async #compareTasks(client: Client, run: Run): Promise<number> {
    const view = await client.getRun(run.id, { taskDetails: true });
    const marks = leaves(view?.tasks ?? []).filter((task) => task.key !== "child");
    let count = 0;
    for (const { output, path, kind } of marks) {
      if (kind !== "task" || !isMark(output)) continue;
      count++;
      const seen = this.#seen.get(output.taskId);
      if (seen !== undefined && seen !== output.nonce) {
        this.#problem(`${run.id}/${path} is stored as ${output.nonce}, and was ${seen} before`);
      }
      if (seen === undefined) this.#problem(`${run.id}/${path} is stored, and was never used`);
    }
    return count;
  }

  #problem(text: string): void {
    if (this.#problems.length < 50) this.#problems.push(text);
  }
}

async function allRuns(client: Client): Promise<Map<string, Run>> {
  const all = new Map<string, Run>();
  let cursor: string | undefined;
  do {
    const page = await client.getRuns({ take: 1000, ...(cursor === undefined ? {} : { cursor }) });
    for (const run of page.runs) all.set(run.id, run);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

function leaves(tasks: readonly TaskView[]): TaskView[] {
  return tasks.flatMap((task) => [task, ...leaves(task.tasks ?? [])]);
}

function isMark(value: unknown): value is { taskId: string; nonce: string } {
  return typeof value === "object" && value !== null && "nonce" in value;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
