import type { EventContext } from "../core/context.js";
import type { RunRecord } from "../core/storage.js";
import { whenAtHand } from "./at-hand.js";
import type { Engine } from "./engine.js";

/** What a run keeps beside its columns; opaque to the storage. Absent parts have their defaults. */
export interface RunMeta {
  readonly eventName?: string;
  /** Absent: the default source. */
  readonly eventSource?: string;
  /** Epoch ms. */
  readonly eventTimestamp?: number;
  /** Of a run that a schedule started. */
  readonly sourceId?: string;
  /** Encoded by the codec. */
  readonly sourceMetadata?: string;
  /** Encoded by the codec. */
  readonly eventContext?: string;
  readonly accountId?: string;
  /** End of the `ttl`, epoch ms: the run's deadline until it starts. */
  readonly expiresAt?: number | undefined;
}

export function encodeMeta(meta: RunMeta): string | null {
  const text = JSON.stringify(meta);
  return text === "{}" ? null : text;
}

export function decodeMeta(text: string | null): RunMeta {
  return text === null ? {} : (JSON.parse(text) as RunMeta);
}

/** Name of the event that an invoke counts as. */
export const INVOKE_EVENT = "invoke";

/** At once, unless the codec is asynchronous. */
export function eventOf(engine: Engine, run: RunRecord): EventContext | Promise<EventContext> {
  const meta = decodeMeta(run.meta);
  const decoded = meta.eventContext === undefined ? {} : engine.codec.decode(meta.eventContext);
  return whenAtHand(decoded, (context) => ({
    id: run.eventId ?? run.id,
    name: meta.eventName ?? INVOKE_EVENT,
    context,
    timestamp: new Date(meta.eventTimestamp ?? run.createdAt),
  }));
}

export function accountOf(run: RunRecord): { id: string; metadata: unknown } | undefined {
  const { accountId } = decodeMeta(run.meta);
  return accountId === undefined ? undefined : { id: accountId, metadata: undefined };
}
