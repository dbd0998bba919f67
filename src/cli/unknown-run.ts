import { RunError } from "../core/errors.js";

/** Reads answer undefined for an unknown run; on a command line that is a failure. */
export function unknownRun(id: string): RunError {
  return new RunError(
    "RUN_NOT_FOUND",
    `There is no run "${id}" in this storage. "pawl runs" lists those that are.`,
  );
}
