import { decodeErrorRecord } from "../core/error-record.js";
import { PayloadError } from "../core/errors.js";
import {
  DEFAULT_SOURCE,
  type SendEvent,
  type SendEventOptions,
  type SentEvent,
} from "../core/event.js";
import { assertOptions, describe } from "../core/options.js";
import { isFinal } from "../core/run-status.js";
import type { Engine } from "./engine.js";
import { updateDelayed } from "./event-admin.js";
import {
  delayedRun,
  deliveredRunId,
  eventRunId,
  type PreparedEvent,
  prepareEvent,
} from "./event-run.js";
import { createEvents, type FanOut } from "./fan-out.js";

/** `isRepeat`: may be a second try of the very same send, which changes nothing then. */
export interface SendSituation {
  readonly isRepeat?: boolean;
}

/**
 * Stores the events and the runs they start, all or nothing. An id that was
 * sent before adds nothing, whoever sent it; only an event whose time has not
 * come takes the new payload and time.
 */
export async function sendEvents(
  engine: Engine,
  events: readonly SendEvent[],
  options: SendEventOptions = {},
  { isRepeat = false }: SendSituation = {},
): Promise<readonly SentEvent[]> {
  assertOptions(options, ["deliverAt", "deliverAfter", "accountId"], "sendEvent");
  if (!Array.isArray(events)) {
    throw new PayloadError("EVENT_INVALID", `sendEvents takes a list, got ${describe(events)}.`);
  }
  const prepared = await Promise.all(events.map((event) => prepareEvent(engine, event, options)));
  const now = prepared.filter(({ deliverAt }) => deliverAt === undefined);
  const delayed = prepared.flatMap((event) =>
    event.deliverAt === undefined ? [] : [{ first: delayedRun(event, event.deliverAt) }],
  );
  const made = await createEvents(
    engine,
    now.map((event) => ({ event, runId: eventRunId(event.id) })),
    delayed,
  );
  const fanOuts = new Map(made.fanOuts.map((fanOut) => [fanOut.event, fanOut]));
  const isNewDelayed = new Map(delayed.map(({ first }, index) => [first.id, made.others[index]]));
  return Promise.all(
    prepared.map(async (event) => {
      const fanOut = fanOuts.get(event);
      const isNew = fanOut?.isNew ?? isNewDelayed.get(eventRunId(event.id)) === true;
      if (!isNew) return known(engine, event, isRepeat);
      if (fanOut === undefined) return { id: event.id, runIds: [] };
      return tellOf(engine, fanOut);
    }),
  );
}

/** An event of this id was there. */
async function known(engine: Engine, event: PreparedEvent, isRepeat: boolean): Promise<SentEvent> {
  if (!isRepeat) await updateDelayed(engine, event);
  return { id: event.id, runIds: await runIdsOf(engine, event.id) };
}

/** Answers what the sender gets, and tells this process of what the event came to. */
export async function tellOf(
  engine: Engine,
  { event, hasListeners, runs }: FanOut,
): Promise<SentEvent> {
  if (!hasListeners && engine.paths.paths(event.name) === undefined)
    engine.warnOnce(`event ${event.name}`, unheard(event));
  const ended = runs.filter(({ status }) => isFinal(status)).map(({ id }) => id);
  for (const run of ended.length === 0 ? [] : await engine.storage.getRuns(ended)) {
    if (run === undefined || !isFinal(run.status)) continue;
    const error = decodeErrorRecord(run.error ?? "");
    engine.outsiderEnded(run, { status: run.status, error }, engine.storeClock.now());
  }
  return { id: event.id, runIds: runs.map(({ id }) => id) };
}

/** Those that the event itself started: replays carry its id, too. */
async function runIdsOf(engine: Engine, eventId: string): Promise<readonly string[]> {
  const events = await engine.storage.getRuns([eventRunId(eventId), deliveredRunId(eventId)]);
  return events.flatMap(
    (event) => (JSON.parse(event?.state ?? "{}") as { runIds?: string[] }).runIds ?? [],
  );
}

function unheard({ name, source }: { name: string; source: string }): string {
  const from = source === DEFAULT_SOURCE ? "" : ` from source "${source}"`;
  return `No job hears the event "${name}"${from}, and no run has waited for it yet. It is stored; check the name, or start the client that has the job.`;
}
