import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import type { ExitCode, Terminal } from "../main.js";
import { cancel } from "./cancel.js";
import { explain } from "./explain.js";
import { retry } from "./retry.js";
import { run } from "./run.js";
import { runs } from "./runs.js";

export type Command = (client: Client, args: Arguments, terminal: Terminal) => Promise<ExitCode>;

export const commands: ReadonlyMap<
  string,
  { readonly operands: 0 | 1; readonly execute: Command }
> = new Map([
  ["runs", { operands: 0, execute: runs }],
  ["run", { operands: 1, execute: run }],
  ["explain", { operands: 1, execute: explain }],
  ["cancel", { operands: 1, execute: cancel }],
  ["retry", { operands: 1, execute: retry }],
] as const);
