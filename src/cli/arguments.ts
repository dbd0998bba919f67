import { parseArgs } from "node:util";

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}

export interface Arguments {
  readonly command: string | undefined;
  readonly operands: readonly string[];
  /** Path of the SQLite file. */
  readonly storage: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
  readonly version: boolean;
  readonly job: string | undefined;
  readonly status: string | undefined;
  readonly tag: string | undefined;
  readonly take: number | undefined;
  readonly cursor: string | undefined;
}

const options = {
  storage: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  job: { type: "string" },
  status: { type: "string" },
  tag: { type: "string" },
  take: { type: "string" },
  cursor: { type: "string" },
} as const;

/** @throws UsageError for an option that does not exist or lacks its value */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const [command, ...operands] = positionals;
  return {
    command,
    operands,
    storage: values.storage,
    json: values.json ?? false,
    help: (values.help ?? false) || (command === undefined && argv.length === 0),
    version: values.version ?? false,
    job: values.job,
    status: values.status,
    tag: values.tag,
    take: values.take === undefined ? undefined : wholeNumber(values.take),
    cursor: values.cursor,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--take is a whole number, got "${text}".`);
}
