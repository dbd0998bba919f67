import { closeSync, openSync, readSync, writeSync } from "node:fs";

/**
 * What really happened, written past the library: one append-only file for all
 * processes, one write per line. Its order is the order of the writes.
 *
 * - `start`, `end` pid taskId attempt nonce: a callback began, or came to its end
 * - `seen` pid taskId nonce: `run` got this result, so its record was durable before
 * - `ack` pid runId: `invoke` had answered
 * - `skip` pid n: it had answered that another run is open
 * - `enter`, `leave` pid runId: a run of the singleton began, or was about to end
 * - `hold` pid runId key, `free` pid runId: the same of a run under a limit
 * - `counted` pid runId/key value: `run` got this number
 * - `token` pid runId tokenId: a run waits for this token
 * - `answer` pid tokenId value: the rig had completed it with this
 * - `stall` pid ms: the worker's event loop had stood still for that long
 * - `slow` pid ms: the store had taken that long for a commit
 * - `kill`, `stop`, `cont` pid: what the rig did to a worker
 * - `standstill` pid: the worker was stopped while it held the file's lock
 */
export type Line = readonly [what: string, pid: string, ...rest: string[]];

export class LedgerWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  write(what: string, ...rest: readonly (string | number)[]): void {
    writeSync(this.#file, `${[what, ...rest].join(" ")}\n`);
  }
}

/** Reads what was appended since the last look. */
export class LedgerReader {
  readonly lines: Line[] = [];
  readonly #file: number;
  readonly #buffer = Buffer.alloc(1 << 20);
  #offset = 0;
  #rest = "";

  constructor(path: string) {
    this.#file = openSync(path, "a+");
  }

  read(): readonly Line[] {
    for (;;) {
      const bytes = readSync(this.#file, this.#buffer, 0, this.#buffer.length, this.#offset);
      if (bytes === 0) return this.lines;
      this.#offset += bytes;
      const parts = (this.#rest + this.#buffer.toString("latin1", 0, bytes)).split("\n");
      this.#rest = parts.pop() ?? "";
      for (const part of parts) {
        const [what = "", pid = "", ...rest] = part.split(" ");
        this.lines.push([what, pid, ...rest]);
      }
    }
  }

  /** Processes that have begun a task. */
  pidsAtWork(): Set<string> {
    return new Set(this.read().flatMap(([what, pid]) => (what === "start" ? [pid] : [])));
  }

  /** Tasks that this process has begun and not ended. */
  openTasks(pid: number): Set<string> {
    const open = new Set<string>();
    for (const [what, by, taskId = ""] of this.read()) {
      if (by !== String(pid)) continue;
      if (what === "start") open.add(taskId);
      else if (what === "end") open.delete(taskId);
    }
    return open;
  }

  close(): void {
    closeSync(this.#file);
  }
}
