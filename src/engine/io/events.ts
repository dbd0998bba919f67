import { derivedId } from "../../core/derived-id.js";
import type { EventView, SendEvent, SendEventOptions, SentEvent } from "../../core/event.js";
import type { Key } from "../../core/key.js";
import { cancelEvent, getEvent } from "../event-admin.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { sendEvents } from "../send-events.js";
import { remembered } from "./remembered.js";

/** One event per task: without an id of the user's it has one derived from the task. */
export function sendEventTask(
  scope: Scope,
  key: Key,
  event: SendEvent,
  options?: SendEventOptions,
): Promise<SentEvent> {
  return remembered(scope, key, "sendEvent", async (op) => {
    const [sent] = await sendFrom(op, [event], options);
    return sent;
  });
}

export function sendEventsTask(
  scope: Scope,
  key: Key,
  events: readonly SendEvent[],
  options?: SendEventOptions,
): Promise<readonly SentEvent[]> {
  return remembered(scope, key, "sendEvents", (op) => sendFrom(op, events, options));
}

/** A crash between send and record repeats the send; the derived ids make that one send. */
function sendFrom(
  op: Op,
  events: readonly SendEvent[],
  options: SendEventOptions | undefined,
): Promise<readonly SentEvent[]> {
  const idOf = (index: number) => derivedId(`event ${index}`, op.runId, op.path, op.scope.tag);
  // What is no list, or no event, is refused where the client's is.
  const identified = Array.isArray(events)
    ? events.map((event: SendEvent, index) => withId(event, idOf(index)))
    : events;
  return sendEvents(op.scope.execution.engine, identified, options, idOf);
}

function withId(event: SendEvent, id: string): SendEvent {
  const takesId = typeof event === "object" && event !== null && event.id === undefined;
  return takesId ? { ...event, id } : event;
}

export function getEventTask(scope: Scope, key: Key, id: string): Promise<EventView | undefined> {
  return remembered(scope, key, "getEvent", () => getEvent(scope.execution.engine, id));
}

export function cancelEventTask(scope: Scope, key: Key, id: string): Promise<boolean> {
  return remembered(scope, key, "cancelEvent", () => cancelEvent(scope.execution.engine, id));
}
