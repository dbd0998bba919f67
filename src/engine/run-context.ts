import type { Context } from "../core/context.js";
import type { Execution } from "./execution.js";
import { accountOf, decodeMeta, eventOf } from "./run-meta.js";

export function contextOf({ run, engine, cancellation }: Execution): Context {
  const account = accountOf(run);
  const { sourceId, sourceMetadata } = decodeMeta(run.meta);
  const metadata = sourceMetadata === undefined ? undefined : engine.codec.decode(sourceMetadata);
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
    event: eventOf(engine, run),
    ...(sourceId === undefined ? undefined : { source: { id: sourceId, metadata } }),
    ...(account === undefined ? undefined : { account }),
    ...engine.surroundings,
    get signal() {
      return cancellation.signal;
    },
  };
}
