import { toErrorRecord } from "../core/error-record.js";
import type { Ending } from "../core/final.js";
import { runInScope } from "./async-context.js";
import { connect } from "./connections.js";
import { encodeValue } from "./encode.js";
import type { Execution } from "./execution.js";
import { contextOf } from "./run-context.js";
import { isThenable } from "./thenable.js";

/**
 * Calls the job's `run`. Whatever the user's code does, this answers with an
 * ending; with undefined if it came to no call of `run`, and the run is not over.
 */
export async function callRun(execution: Execution): Promise<Ending | undefined> {
  const { engine, job, root, run, host } = execution;
  try {
    const known = contextOf(execution);
    const context = isThenable(known) ? await known : known;
    if (engine.auth.areNeeded(job)) {
      const connected = await connect(execution, context);
      if (connected === "over") return undefined;
      if (connected !== "ready") return connected;
    }
    execution.hasBegun = true;
    host.starts(execution);
    const payload = await engine.admittedPayload(run);
    const output = await runInScope(root, () =>
      job.options.run(payload, execution.host.ioOf(root), context),
    );
    return { status: "COMPLETED", output: await encodeValue(engine, output, "output of run") };
  } catch (error) {
    return { status: "FAILED", error: toErrorRecord(error, errorCaps(execution)) };
  }
}

export function errorCaps(execution: Execution): { message: number; stack: number } {
  const { errorMessageBytes, errorStackBytes } = execution.engine.caps;
  return { message: errorMessageBytes, stack: errorStackBytes };
}
