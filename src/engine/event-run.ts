import { instantAfter, instantOf } from "../core/duration.js";
import { ConfigError, PayloadError } from "../core/errors.js";
import { DEFAULT_SOURCE, nameOf, type SendEvent, type SendEventOptions } from "../core/event.js";
import { eventTopics } from "../core/event-topic.js";
import { assertText } from "../core/key.js";
import { assertOptions, describe } from "../core/options.js";
import type { NewRun, RunRecord } from "../core/storage.js";
import { whenAtHand } from "./at-hand.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";
import { newId } from "./ids.js";
import { decodeMeta, encodeMeta } from "./run-meta.js";

/**
 * Internal job of events. A run of it remembers the event's id; it is final
 * once all who wait for the event have been told (contract E8).
 */
export const EVENT_JOB = "$event";
/** Internal job of events whose time has not come: its run makes the event then. */
export const DELAYED_JOB = "$delayed";

/** An event as it is stored. */
export interface StoredEvent {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  /** Encoded by the codec, as all user values. */
  readonly payload: string;
  readonly meta: string;
}

export interface PreparedEvent extends StoredEvent {
  /** When it was sent, by the store's clock. */
  readonly now: number;
  /** Undefined: at once. */
  readonly deliverAt: number | undefined;
  /** Names the task that sends it, the same in each try; undefined outside of runs. */
  readonly sender: string | undefined;
}

/** The one run that an event id can have. */
export function eventRunId(eventId: string): string {
  return `${EVENT_JOB}/${eventId}`;
}

/** Of a delayed event the first one is taken by the run that waits. */
export function deliveredRunId(eventId: string): string {
  return `$delivered/${eventId}`;
}

/** Checks an event and encodes it. Nothing is stored if this throws. At once, if the codec is. */
export function prepareEvent(
  engine: Engine,
  event: SendEvent,
  options: SendEventOptions,
  sender?: string,
): PreparedEvent | Promise<PreparedEvent> {
  if (typeof event !== "object" || event === null) {
    throw new PayloadError(
      "EVENT_INVALID",
      `sendEvent takes { name, payload?, … }, got ${describe(event)}.`,
    );
  }
  assertOptions(event, ["name", "payload", "id", "source", "context", "timestamp"], "sendEvent");
  const name = nameOf(event.name);
  const now = engine.storeClock.now();
  if (event.id !== undefined) assertText(event.id, "event id", { maxBytes: 512 });
  if (event.source !== undefined) assertText(event.source, "event source");
  const encoding = encodeValue(engine, event.payload, `payload of event "${name}"`);
  return whenAtHand(encoding, (payload) =>
    whenAtHand(metaOf(engine, event, { name, now, options }), (meta) => ({
      id: event.id ?? newId(now),
      name,
      source: event.source ?? DEFAULT_SOURCE,
      payload,
      meta,
      now,
      deliverAt: deliveryTime(options, now),
      sender,
    })),
  );
}

function metaOf(
  engine: Engine,
  { context, source, timestamp }: SendEvent,
  { name, now, options }: { name: string; now: number; options: SendEventOptions },
): string | Promise<string> {
  const { accountId } = options;
  if (accountId !== undefined) assertText(accountId, "accountId of sendEvent");
  const eventTimestamp = timestamp === undefined ? now : instantOf(timestamp);
  if (eventTimestamp === undefined)
    throw new PayloadError(
      "EVENT_INVALID",
      `The timestamp of event "${name}" is ${describe(timestamp)}; pass a valid Date.`,
    );
  const meta = {
    eventName: name,
    eventTimestamp,
    ...(source === undefined || source === DEFAULT_SOURCE ? undefined : { eventSource: source }),
    ...(accountId === undefined ? undefined : { accountId }),
  };
  if (context === undefined) return encodeMeta(meta) ?? "";
  const encoding = encodeValue(engine, context, "event context");
  return whenAtHand(encoding, (eventContext) => encodeMeta({ ...meta, eventContext }) ?? "");
}

function deliveryTime(
  { deliverAt, deliverAfter }: SendEventOptions,
  now: number,
): number | undefined {
  if (deliverAt !== undefined && deliverAfter !== undefined)
    throw new ConfigError(
      "OPTION_INVALID",
      "sendEvent got both deliverAt and deliverAfter; pass one of them.",
    );
  if (deliverAfter !== undefined) {
    const at = instantAfter(deliverAfter, now, "deliverAfter of sendEvent");
    return at === now ? undefined : at;
  }
  if (deliverAt === undefined) return undefined;
  const at = instantOf(deliverAt);
  if (at === undefined)
    throw new ConfigError(
      "OPTION_INVALID",
      `deliverAt of sendEvent is ${describe(deliverAt)}; pass a valid Date.`,
    );
  return at <= now ? undefined : at;
}

/** The event that a run of {@link EVENT_JOB} or {@link DELAYED_JOB} stands for. */
export function storedEvent(run: RunRecord): StoredEvent {
  const { eventName = "", eventSource = DEFAULT_SOURCE } = decodeMeta(run.meta);
  return {
    id: run.eventId ?? run.id,
    name: eventName,
    source: eventSource,
    payload: run.payload ?? "",
    meta: run.meta ?? "",
  };
}

export interface EventRunParts {
  /** Which of the two ids an event can have. */
  readonly id: string;
  readonly runIds: readonly string[];
  /** Paths that somebody waits on; undefined if nobody has ever waited for its name. */
  readonly paths: readonly string[] | undefined;
  readonly now: number;
}

/** An event that nobody can wait for is over at once; any other is delivered by a worker first. */
export async function eventRun(
  engine: Engine,
  event: StoredEvent,
  { id, runIds, paths, now }: EventRunParts,
): Promise<NewRun> {
  const { staleMs } = engine.rawStorage.capabilities;
  const common = {
    id,
    jobId: EVENT_JOB,
    version: "0.0.0",
    payload: event.payload,
    eventId: event.id,
    meta: event.meta,
    state: JSON.stringify({ runIds }),
  };
  if (paths === undefined && staleMs === 0) return { ...common, status: "COMPLETED", wakeAt: null };
  return {
    ...common,
    status: "PENDING",
    // Whoever began to wait before that finds the event when it looks back, also in a list that lags.
    wakeAt: now + 2 * staleMs,
    tags: await topicsOf(engine, event, paths ?? []),
  };
}

/** By these a wait finds events that came before it, and an event finds waits. */
export async function topicsOf(
  engine: Engine,
  { name, payload }: StoredEvent,
  paths: readonly string[],
): Promise<string[]> {
  const value = paths.some((path) => path !== "") ? await engine.codec.decode(payload) : undefined;
  return eventTopics(name, value, paths);
}

export function delayedRun(event: PreparedEvent, deliverAt: number): NewRun {
  return {
    id: eventRunId(event.id),
    jobId: DELAYED_JOB,
    version: "0.0.0",
    status: "PENDING",
    wakeAt: deliverAt,
    payload: event.payload,
    eventId: event.id,
    meta: event.meta,
    state: delayedState([], event),
  };
}

/** Each of them repeats its send after a crash, which changes nothing then. */
const MOST_SENDERS = 100;

/** The tasks that have sent or changed a delayed event so far. */
export function sendersOf({ state }: Pick<RunRecord, "state">): readonly string[] {
  return (JSON.parse(state ?? "{}") as { senders?: string[] }).senders ?? [];
}

export function delayedState(before: readonly string[], { sender }: PreparedEvent): string {
  const senders = sender === undefined ? before : [...before, sender].slice(-MOST_SENDERS);
  return JSON.stringify(senders.length === 0 ? {} : { senders });
}
