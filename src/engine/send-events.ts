import { PayloadError } from "../core/errors.js";
import {
  DEFAULT_SOURCE,
  type SendEvent,
  type SendEventOptions,
  type SentEvent,
} from "../core/event.js";
import { assertOptions, describe } from "../core/options.js";
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
import { tellOfOver } from "./over-at-creation.js";

/**
 * Stores the events and the runs they start, all or nothing. An id that was
 * sent before adds nothing, whoever sent it; only an event whose time has not
 * come takes the new payload and time.
 * @param senderOf of events that a task sends: a name for each, the same in each try of the task
 */
export async function sendEvents(
  engine: Engine,
  events: readonly SendEvent[],
  options: SendEventOptions = {},
  senderOf: (index: number) => string | undefined = () => undefined,
): Promise<readonly SentEvent[]> {
  assertOptions(options, ["deliverAt", "deliverAfter", "accountId"], "sendEvent");
  if (!Array.isArray(events)) {
    throw new PayloadError("EVENT_INVALID", `sendEvents takes a list, got ${describe(events)}.`);
  }
  const prepared = await Promise.all(
    events.map((event, index) => prepareEvent(engine, event, options, senderOf(index))),
  );
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
  return inOrderOfId(prepared, async (event) => {
    const fanOut = fanOuts.get(event);
    const isNew = fanOut?.isNew ?? isNewDelayed.get(eventRunId(event.id)) === true;
    if (!isNew) return known(engine, event);
    if (fanOut === undefined) return { id: event.id, runIds: [] };
    return tellOf(engine, fanOut);
  });
}

/** Those of one id one after the other, so that the last one stands; the others side by side. */
function inOrderOfId<T>(
  events: readonly PreparedEvent[],
  answerTo: (event: PreparedEvent) => Promise<T>,
): Promise<T[]> {
  const last = new Map<string, Promise<T>>();
  const answers = events.map((event) => {
    const before = last.get(event.id);
    const answer = before === undefined ? answerTo(event) : before.then(() => answerTo(event));
    last.set(event.id, answer);
    return answer;
  });
  return Promise.all(answers);
}

/** An event of this id was there. */
async function known(engine: Engine, event: PreparedEvent): Promise<SentEvent> {
  await updateDelayed(engine, event);
  return { id: event.id, runIds: await runIdsOf(engine, event.id) };
}

/** Answers what the sender gets, and tells this process of what the event came to. */
export async function tellOf(
  engine: Engine,
  { event, hasListeners, runs }: FanOut,
): Promise<SentEvent> {
  if (!hasListeners && engine.paths.paths(event.name) === undefined)
    engine.warnOnce(`event ${event.name}`, unheard(event));
  await tellOfOver(engine, runs);
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
