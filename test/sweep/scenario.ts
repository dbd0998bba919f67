import type { RunRecord } from "../../src/core/storage.js";
import type { Stage } from "./stage.js";

export interface Scenario {
  readonly name: string;
  /** The host whose storage calls are swept. Default "worker". */
  readonly host?: string;
  /** Jobs, clients and the commands that drive them. It ends when nothing is left to command. */
  script(stage: Stage): Promise<void>;
  /** Beside what holds in every scenario; called when all runs have ended. */
  check(end: End): Promise<void> | void;
  /** Executions of a task by path, without faults. Default: 1 each. */
  readonly executions?: Readonly<Record<string, number>>;
  /** The same where no frame is kept and every wait is followed by a replay. */
  readonly executionsReplayed?: Readonly<Record<string, number>>;
  /** How many parked frames are kept; swept with each. Default: 1000 only. */
  readonly maxParked?: readonly number[];
  /** What a fault may add to the time that the scenario takes, beside lease, outage and pauses. */
  readonly slackMs?: number;
}

/** How a play came out. */
export class End {
  readonly stage: Stage;
  readonly runs: readonly RunRecord[];

  constructor(stage: Stage, runs: readonly RunRecord[]) {
    this.stage = stage;
    this.runs = runs;
  }

  of(jobId: string): readonly RunRecord[] {
    return this.runs.filter((run) => run.jobId === jobId);
  }

  /** As many as commands asked for; a command that was repeated may have made one more. */
  count(jobId: string, expected: number, options: { readonly exact?: boolean } = {}): void {
    const { length } = this.of(jobId);
    const most = expected + (options.exact === true ? 0 : this.stage.repeats);
    if (length < expected || length > most)
      throw new Error(`${length} runs of "${jobId}" instead of ${expected} to ${most}`);
  }

  /** Every run of the job ended so. */
  all(jobId: string, status: string, output?: unknown): void {
    for (const run of this.of(jobId)) this.one(run, status, output);
  }

  one(run: RunRecord | undefined, status: string, output?: unknown): void {
    const got = run === undefined ? "missing" : `${run.status} ${run.output} ${run.error ?? ""}`;
    const isRight =
      run !== undefined &&
      run.status === status &&
      (output === undefined || run.output === encoded(output));
    if (!isRight)
      throw new Error(
        `run ${run?.id} of "${run?.jobId}" is ${got}, not ${status} ${encoded(output)}`,
      );
  }

  /** A run that ended badly ended for this reason. */
  error(run: RunRecord | undefined, text: string): void {
    if (run?.error?.includes(text) !== true)
      throw new Error(`run ${run?.id} ended with ${run?.error}, which does not tell "${text}"`);
  }

  /** Happened at least once, and again at most where a fault cut in. */
  noted(what: string, expected: number, most: number): void {
    const count = this.stage.ledger.noted(what);
    if (count < expected || count > most)
      throw new Error(`"${what}" happened ${count} times instead of ${expected} to ${most}`);
  }
}

function encoded(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}
