import type { Line } from "./ledger.js";

interface Start {
  readonly runId: string;
  readonly pid: string;
  readonly at: number;
}

/** Whether a process may have lost, between two lines, what it was about at the first. */
export type HasLost = (pid: string, since: number, until: number) => boolean;

/** Whether two processes executed one run at a time, by the tasks they had begun and not ended. */
export class HolderChecker {
  readonly #open = new Map<string, Start>();
  readonly #shared: { readonly first: Start; readonly second: Start }[] = [];

  take([what, pid, id = ""]: Line, at: number): void {
    if (what === "start") this.#starts({ runId: id.slice(0, id.indexOf("/")), pid, at }, id);
    if (what === "end") this.#open.delete(`${pid} ${id}`);
    if (what !== "kill") return;
    for (const [task, start] of this.#open) if (start.pid === pid) this.#open.delete(task);
  }

  #starts(second: Start, id: string): void {
    for (const first of this.#open.values()) {
      if (first.runId === second.runId && first.pid !== second.pid)
        this.#shared.push({ first, second });
    }
    this.#open.set(`${second.pid} ${id}`, second);
  }

  /** A process that stood still may not know that it has lost its run. */
  problems(hasLost: HasLost): string[] {
    return this.#shared
      .filter(({ first, second }) => !hasLost(first.pid, first.at, second.at))
      .map(({ first, second }) => `${first.runId} was held by ${first.pid} and by ${second.pid}`);
  }
}
