import { createRequire } from "node:module";
import { isPawlError } from "../core/errors.js";
import { type Arguments, parseArguments, UsageError } from "./arguments.js";
import { type Command, commands } from "./commands/index.js";
import { printable } from "./printable.js";
import { help } from "./usage.js";
import { withClient } from "./with-client.js";

/** Where the command line writes; a line per call, without its end. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

export type ExitCode = 0 | 1 | 2;

/**
 * The command line: looks at the runs of a storage and changes single ones.
 * Executes nothing and registers no jobs.
 *
 * Answers the exit code: 0 done, 1 it could not be done (an unknown run, a
 * storage that cannot be opened), 2 the command line is wrong.
 *
 * @example
 * process.exitCode = await main(["runs", "--storage", "shop.db"], { out: console.log, err: console.error });
 */
export async function main(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    return await obey(parseArguments(argv), terminal);
  } catch (error) {
    return report(error, terminal);
  }
}

async function obey(args: Arguments, terminal: Terminal): Promise<ExitCode> {
  if (args.help) {
    terminal.out(help);
    return 0;
  }
  if (args.version) {
    terminal.out(packageVersion());
    return 0;
  }
  const { writes = false, execute } = commandOf(args);
  return withClient(args.storage, !writes, (client) => execute(client, args, terminal));
}

function commandOf({ command, operands }: Arguments): Command {
  if (command === undefined) throw new UsageError("Say what to do, for instance: pawl runs.");
  const found = commands.get(command);
  if (found === undefined) {
    throw new UsageError(
      `There is no command "${command}". Use one of ${[...commands.keys()].join(", ")}.`,
    );
  }
  if (operands.length !== found.operands) {
    throw new UsageError(
      found.operands === 1
        ? `pawl ${command} takes the id of one run, as "pawl runs" lists it.`
        : `pawl ${command} takes no "${operands[0]}".`,
    );
  }
  return found;
}

function report(error: unknown, terminal: Terminal): ExitCode {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError || isPawlError(error, "OPTION_INVALID")) {
    terminal.err(`pawl: ${printable(text)}\nTry "pawl --help".`);
    return 2;
  }
  const code = isPawlError(error) ? ` [${error.code}]` : "";
  terminal.err(`pawl: ${printable(text)}${code}`);
  return 1;
}

function packageVersion(): string {
  const found: unknown = createRequire(import.meta.url)("pawl/package.json");
  return (found as { version: string }).version;
}
