import { derivedId } from "../../core/derived-id.js";
import type { EventView, SendEvent, SendEventOptions, SentEvent } from "../../core/event.js";
import { assertText, type Key } from "../../core/key.js";
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
    const events = [withId(op, event, 0)];
    const situation = { isRepeat: event.id === undefined };
    const [sent] = await sendEvents(scope.execution.engine, events, options, situation);
    return sent;
  });
}

export function sendEventsTask(
  scope: Scope,
  key: Key,
  events: readonly SendEvent[],
  options?: SendEventOptions,
): Promise<readonly SentEvent[]> {
  return remembered(scope, key, "sendEvents", (op) =>
    sendEvents(
      scope.execution.engine,
      events.map((event, index) => withId(op, event, index)),
      options,
      { isRepeat: events.every((event) => event.id === undefined) },
    ),
  );
}

export function getEventTask(scope: Scope, key: Key, id: string): Promise<EventView | undefined> {
  return remembered(scope, key, "getEvent", () => {
    assertText(id, "id of io.getEvent", { maxBytes: 512 });
    return getEvent(scope.execution.engine, id);
  });
}

export function cancelEventTask(scope: Scope, key: Key, id: string): Promise<boolean> {
  return remembered(scope, key, "cancelEvent", () => {
    assertText(id, "id of io.cancelEvent", { maxBytes: 512 });
    return cancelEvent(scope.execution.engine, id);
  });
}

/** A crash between send and record repeats the send; the derived id makes that one event. */
function withId(op: Op, event: SendEvent, index: number): SendEvent {
  if (event.id !== undefined) return event;
  return { ...event, id: derivedId(`event ${index}`, op.runId, op.path, op.scope.tag) };
}
