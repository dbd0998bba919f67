import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import type { ExitCode, Terminal } from "../main.js";
import { cancel } from "./cancel.js";
import { explain } from "./explain.js";
import { retry } from "./retry.js";
import { run } from "./run.js";
import { runs } from "./runs.js";

export interface Command {
  readonly operands: 0 | 1;
  /** The others must not even migrate the file: its application may be of another version. */
  readonly writes?: boolean;
  readonly execute: (client: Client, args: Arguments, terminal: Terminal) => Promise<ExitCode>;
}

export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["runs", { operands: 0, execute: runs }],
  ["run", { operands: 1, execute: run }],
  ["explain", { operands: 1, execute: explain }],
  ["cancel", { operands: 1, writes: true, execute: cancel }],
  ["retry", { operands: 1, writes: true, execute: retry }],
]);
