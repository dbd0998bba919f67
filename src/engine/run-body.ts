import { toErrorRecord } from "../core/error-record.js";
import type { Ending } from "../core/final.js";
import { runInScope } from "./async-context.js";
import { encodeValue } from "./encode.js";
import type { Execution } from "./execution.js";
import { contextOf } from "./run-context.js";

/** Calls the job's `run`. Whatever the user's code does, this answers with an ending. */
export async function callRun(execution: Execution): Promise<Ending> {
  const { engine, job, root, run } = execution;
  try {
    const payload = await engine.admittedPayload(run);
    const context = contextOf(execution);
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
