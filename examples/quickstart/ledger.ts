import { openSync, readFileSync, writeSync } from "node:fs";
import type { Task } from "pawl";

/** One try of a task, as told by the task itself. */
export interface Line {
  readonly what: "start" | "end" | "fail";
  readonly pid: number;
  readonly taskId: string;
  readonly attempt: number;
}

/**
 * What really happened, written past the library: an append-only file with one
 * line when a task starts and one when it ends. Each line is one write, which
 * a killed process has made or has not.
 */
export class Ledger {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  async watch<T>(task: Task, work: () => T | Promise<T>): Promise<T> {
    this.#write("start", task);
    try {
      const result = await work();
      this.#write("end", task);
      return result;
    } catch (error) {
      this.#write("fail", task);
      throw error;
    }
  }

  #write(what: Line["what"], task: Task): void {
    writeSync(this.#file, `${what} ${process.pid} ${task.attempt} ${task.id}\n`);
  }
}

export function readLedger(path: string): Line[] {
  const rows = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return rows.map((row) => {
    const [what = "", pid, attempt, taskId = ""] = row.split(" ");
    return { what: what as Line["what"], pid: Number(pid), attempt: Number(attempt), taskId };
  });
}
