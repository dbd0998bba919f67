import type { Context, EventContext } from "../core/context.js";
import { whenAtHand } from "./at-hand.js";
import type { Execution } from "./execution.js";
import { accountOf, decodeMeta, eventOf } from "./run-meta.js";

/** At once, unless the codec is asynchronous. */
export function contextOf(execution: Execution): Context | Promise<Context> {
  const { run, engine } = execution;
  const { sourceId, sourceMetadata } = decodeMeta(run.meta);
  return whenAtHand(eventOf(engine, run), (event) => {
    if (sourceId === undefined) return contextWith(execution, event, undefined);
    const decoded = sourceMetadata === undefined ? undefined : engine.codec.decode(sourceMetadata);
    return whenAtHand(decoded, (metadata) =>
      contextWith(execution, event, { id: sourceId, metadata }),
    );
  });
}

function contextWith(
  { run, engine, cancellation }: Execution,
  event: EventContext,
  source: Context["source"],
): Context {
  const account = accountOf(run);
  return {
    run: {
      id: run.id,
      isTest: run.isTest,
      startedAt: new Date(run.startedAt ?? run.createdAt),
      attempt: run.generation,
      executionCount: run.executionCount,
      isRetry: run.generation > 1,
      tags: run.tags,
      ...(run.parentId === null ? undefined : { parentId: run.parentId }),
    },
    job: { id: run.jobId, version: run.version },
    event,
    ...(source === undefined ? undefined : { source }),
    ...(account === undefined ? undefined : { account }),
    ...engine.surroundings,
    get signal() {
      return cancellation.signal;
    },
  };
}
