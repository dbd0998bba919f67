import { durationMs } from "../core/duration.js";
import { decodeErrorRecord, encodeErrorRecord, toErrorRecord } from "../core/error-record.js";
import { ConfigError } from "../core/errors.js";
import {
  DEFAULT_SOURCE,
  nameOf,
  type SendEvent,
  type SendEventOptions,
  type SentEvent,
} from "../core/event.js";
import { hookRun } from "../core/final.js";
import { assertText } from "../core/key.js";
import { assertOptions, describe } from "../core/options.js";
import { isFinal } from "../core/run-status.js";
import type { CreateGroup, NewRun } from "../core/storage.js";
import { type Admission, admitText } from "./admission.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";
import { newId } from "./ids.js";
import { type Listener, REGISTRY_KEY, type Registration } from "./registry.js";
import { encodeMeta } from "./run-meta.js";
import { createRefused, payloadInvalid } from "./start-runs.js";

/** Internal job of events: their ids are remembered by it. */
export const EVENT_JOB = "$event";

interface PreparedEvent {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly payload: string;
  readonly meta: string;
  readonly now: number;
  readonly wakeAt: number;
}

interface FanOut {
  readonly event: PreparedEvent;
  /** Some job listens to its name, whatever its filter says. */
  readonly hasListeners: boolean;
  readonly runs: readonly NewRun[];
}

/**
 * Stores the events and the runs they start, all or nothing. An id that was
 * sent before adds nothing, whoever sent it.
 */
export async function sendEvents(
  engine: Engine,
  events: readonly SendEvent[],
  options: SendEventOptions = {},
): Promise<readonly SentEvent[]> {
  assertOptions(options, ["deliverAt", "deliverAfter", "accountId"], "sendEvent");
  if (!Array.isArray(events)) {
    throw new ConfigError("EVENT_INVALID", `sendEvents takes a list, got ${describe(events)}.`);
  }
  const prepared = await Promise.all(events.map((event) => prepare(engine, event, options)));
  // Patient also here: a run that sends an event must not fail since the storage was away.
  await engine.patience.until(() => engine.registry.ensureLoaded(engine.storeClock.now()));
  for (;;) {
    const version = engine.registry.version;
    const fanOuts = await Promise.all(prepared.map((event) => fanOutOf(engine, event)));
    const result = await engine.queue.create({
      createId: engine.writeIds.next(),
      groups: fanOuts.map((fanOut) => groupOf(engine, fanOut)),
      expect: [{ key: REGISTRY_KEY, version }],
    });
    if (result.result === "ok") {
      return Promise.all(
        fanOuts.map((fanOut, index) =>
          sentEvent(engine, fanOut, result.groups[index]?.first.created === true),
        ),
      );
    }
    if (result.result !== "conflict") throw createRefused(result);
    // A job was registered meanwhile: it must hear this event, too.
    await engine.patience.until(() => engine.registry.reload());
  }
}

async function prepare(
  engine: Engine,
  event: SendEvent,
  options: SendEventOptions,
): Promise<PreparedEvent> {
  if (typeof event !== "object" || event === null) {
    throw new ConfigError(
      "EVENT_INVALID",
      `sendEvent takes { name, payload?, … }, got ${describe(event)}.`,
    );
  }
  assertOptions(event, ["name", "payload", "id", "source", "context", "timestamp"], "sendEvent");
  const name = nameOf(event.name);
  const now = engine.storeClock.now();
  if (event.id !== undefined) assertText(event.id, "event id", { maxBytes: 512 });
  if (event.source !== undefined) assertText(event.source, "event source");
  if (options.accountId !== undefined) assertText(options.accountId, "accountId of sendEvent");
  const timestamp = event.timestamp === undefined ? now : new Date(event.timestamp).getTime();
  if (Number.isNaN(timestamp))
    throw new ConfigError("EVENT_INVALID", `The timestamp of event "${name}" is an invalid Date.`);
  return {
    id: event.id ?? newId(now),
    name,
    source: event.source ?? DEFAULT_SOURCE,
    payload: await encodeValue(engine, event.payload, `payload of event "${name}"`),
    meta:
      encodeMeta({
        eventName: name,
        eventTimestamp: timestamp,
        ...(event.context === undefined
          ? undefined
          : { eventContext: await encodeValue(engine, event.context, "event context") }),
        ...(options.accountId === undefined ? undefined : { accountId: options.accountId }),
      }) ?? "",
    now,
    wakeAt: deliveryTime(options, now),
  };
}

function deliveryTime({ deliverAt, deliverAfter }: SendEventOptions, now: number): number {
  if (deliverAt !== undefined) {
    const at = new Date(deliverAt).getTime();
    if (Number.isNaN(at))
      throw new ConfigError("OPTION_INVALID", "deliverAt of sendEvent is an invalid Date.");
    return Math.max(now, at);
  }
  return deliverAfter === undefined
    ? now
    : now + durationMs(deliverAfter, "deliverAfter of sendEvent");
}

async function fanOutOf(engine: Engine, event: PreparedEvent): Promise<FanOut> {
  const listeners = engine.registry.listeners(event.name, event.source);
  const jobs = await hearing(engine, event, listeners);
  const runs = await Promise.all(jobs.map((job) => heardRun(engine, event, job)));
  return { event, hasListeners: listeners.length > 0, runs };
}

/** A filter looks at the payload as it is stored, so that all processes see the same. */
async function hearing(
  engine: Engine,
  event: PreparedEvent,
  listeners: readonly Listener[],
): Promise<Registration[]> {
  const payload = listeners.some(({ hears }) => hears !== undefined)
    ? await engine.codec.decode(event.payload)
    : undefined;
  return listeners.filter(({ hears }) => hears?.(payload) ?? true).map(({ job }) => job);
}

function groupOf(engine: Engine, { event, runs }: FanOut): CreateGroup {
  const stillborn = runs.filter(
    ({ status, jobId }) => isFinal(status) && engine.hasHook(jobId, "onFailure"),
  );
  const hooks = stillborn.map((run) => hookRun({ ...run, generation: 1 }, "onFailure", event.now));
  return { first: eventRun(event, runs), further: [...runs, ...hooks] };
}

/** Answers what the sender gets, and tells this process of what the event came to. */
async function sentEvent(
  engine: Engine,
  { event, hasListeners, runs }: FanOut,
  isNew: boolean,
): Promise<SentEvent> {
  if (!isNew) return { id: event.id, runIds: await runIdsOf(engine, event.id) };
  if (!hasListeners) engine.warnOnce(`event ${event.name}`, unheard(event));
  const ended = runs.filter(({ status }) => isFinal(status)).map(({ id }) => id);
  for (const run of ended.length === 0 ? [] : await engine.storage.getRuns(ended)) {
    if (run === undefined || !isFinal(run.status)) continue;
    const error = decodeErrorRecord(run.error ?? "");
    engine.outsiderEnded(run, { status: run.status, error }, event.now);
  }
  return { id: event.id, runIds: runs.map(({ id }) => id) };
}

function eventRun(event: PreparedEvent, runs: readonly NewRun[]): NewRun {
  return {
    id: eventRunId(event.id),
    jobId: EVENT_JOB,
    version: "0.0.0",
    status: "COMPLETED",
    wakeAt: null,
    payload: event.payload,
    eventId: event.id,
    meta: event.meta,
    state: JSON.stringify({ runIds: runs.map(({ id }) => id) }),
  };
}

export function eventRunId(eventId: string): string {
  return `${EVENT_JOB}/${eventId}`;
}

/** The run of one job that hears the event. A payload it cannot take makes a run that says so. */
async function heardRun(
  engine: Engine,
  event: PreparedEvent,
  registered: Registration,
): Promise<NewRun> {
  const definition = engine.jobs.get(registered.id);
  const run: NewRun = {
    id: newId(event.now),
    jobId: registered.id,
    version: definition?.version ?? registered.version,
    status: "PENDING",
    wakeAt: event.wakeAt,
    payload: event.payload,
    maxDurationMs: registered.maxDurationMs,
    priority: definition?.options.priority ?? registered.priority,
    eventId: event.id,
    meta: event.meta,
  };
  if (definition === undefined) return run;
  let admission: Admission;
  try {
    admission = await admitText(engine, definition, event.payload);
  } catch (error) {
    return { ...run, status: "FAILED", error: encodeErrorRecord(toErrorRecord(error)) };
  }
  if (admission.ok) {
    const { admitted, tags, limitKeys } = admission;
    return { ...run, admitted, tags, limitKeys };
  }
  const error = toErrorRecord(payloadInvalid(registered.id, admission.issues));
  return { ...run, status: "INVALID_PAYLOAD", error: encodeErrorRecord(error) };
}

/** Those that the event itself started: replays carry its id, too. */
async function runIdsOf(engine: Engine, eventId: string): Promise<readonly string[]> {
  const [event] = await engine.storage.getRuns([eventRunId(eventId)]);
  return (JSON.parse(event?.state ?? "{}") as { runIds?: string[] }).runIds ?? [];
}

function unheard({ name, source }: PreparedEvent): string {
  const from = source === DEFAULT_SOURCE ? "" : ` from source "${source}"`;
  return `No job hears the event "${name}"${from}. It is stored; check the name, or start the client that has the job.`;
}
