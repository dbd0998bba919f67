import type { EventView } from "../core/event.js";
import { assertText } from "../core/key.js";
import { displayStatus, isFinal } from "../core/run-status.js";
import type { RunRecord, RunWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import {
  DELAYED_JOB,
  delayedState,
  deliveredRunId,
  eventRunId,
  type PreparedEvent,
  sendersOf,
  storedEvent,
} from "./event-run.js";
import { decodeMeta } from "./run-meta.js";

const PAGE = 500;

/** A delayed event that is sent again before its time takes the new payload, context and time. */
export async function updateDelayed(engine: Engine, event: PreparedEvent): Promise<void> {
  for (;;) {
    const [run] = await engine.storage.getRuns([eventRunId(event.id)]);
    if (run?.jobId !== DELAYED_JOB || run.status !== "PENDING") return;
    if (event.sender !== undefined && sendersOf(run).includes(event.sender)) return;
    const { result } = await engine.queue.submit(updateOf(engine, event, run));
    if (result === "ok") return;
  }
}

/** Names the epoch: of two changes at a time the second one sees the first. */
function updateOf(engine: Engine, event: PreparedEvent, run: RunRecord): RunWrite {
  const before = decodeMeta(run.meta);
  const { eventName, eventSource, ...meta } = decodeMeta(event.meta);
  return {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch, statuses: ["PENDING"] },
    // Its name and source decide who hears it, and stay as they were.
    run: {
      payload: event.payload,
      meta: JSON.stringify({
        ...meta,
        eventName: before.eventName,
        eventSource: before.eventSource,
      }),
      state: delayedState(sendersOf(run), event),
    },
    release: { wakeAt: event.deliverAt ?? event.now, wakeSignals: 0 },
  };
}

/** False: it was delivered, or is at this moment. */
export async function cancelEvent(engine: Engine, id: string): Promise<boolean> {
  assertText(id, "event id of cancelEvent");
  const [run] = await engine.storage.getRuns([eventRunId(id)]);
  if (run === undefined || run.jobId !== DELAYED_JOB) return false;
  if (run.status === "CANCELED") return true;
  const { result } = await engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    // A worker that has claimed it may have delivered it: from then on it is too late.
    guard: { statuses: ["PENDING"] },
    run: { status: "CANCELED", finishedAt: engine.storeClock.now() },
  });
  return result === "ok";
}

export async function getEvent(engine: Engine, id: string): Promise<EventView | undefined> {
  assertText(id, "event id of getEvent");
  const [sent, delivered] = await engine.storage.getRuns([eventRunId(id), deliveredRunId(id)]);
  if (sent === undefined) return undefined;
  const { eventContext, eventTimestamp } = decodeMeta(sent.meta);
  const { name, source, payload } = storedEvent(sent);
  const isDelayed = sent.jobId === DELAYED_JOB;
  const deliveredAt = isDelayed ? delivered?.createdAt : sent.createdAt;
  return {
    id,
    name,
    source,
    payload: await engine.codec.decode(payload),
    context: eventContext === undefined ? {} : await engine.codec.decode(eventContext),
    timestamp: new Date(eventTimestamp ?? sent.createdAt),
    createdAt: new Date(sent.createdAt),
    ...(isDelayed && !isFinal(sent.status) && sent.dueAt !== null
      ? { deliverAt: new Date(sent.dueAt) }
      : undefined),
    ...(deliveredAt === undefined ? undefined : { deliveredAt: new Date(deliveredAt) }),
    ...(sent.status === "CANCELED" && sent.finishedAt !== null
      ? { cancelledAt: new Date(sent.finishedAt) }
      : undefined),
    runs: await runsOf(engine, id),
  };
}

/** Of the event: those it started, and replays of them. */
async function runsOf(engine: Engine, eventId: string): Promise<EventView["runs"]> {
  const found: EventView["runs"][number][] = [];
  const now = await engine.rawStorage.now();
  let cursor: string | undefined;
  do {
    const page = await engine.rawStorage.listRuns({
      eventId,
      limit: PAGE,
      ...(cursor === undefined ? undefined : { cursor }),
    });
    for (const run of page.runs) {
      found.push({ id: run.id, jobId: run.jobId, status: displayStatus(run, now) });
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}
