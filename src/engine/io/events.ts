import { derivedId } from "../../core/derived-id.js";
import type { SendEvent, SendEventOptions, SentEvent } from "../../core/event.js";
import type { Key } from "../../core/key.js";
import type { TaskRecord } from "../../core/storage.js";
import type { TaskKind } from "../../core/task-data.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { sendEvents } from "../send-events.js";
import { failOp } from "./invoke.js";

/** One event per task: without an id of the user's it has one derived from the task. */
export function sendEventTask(
  scope: Scope,
  key: Key,
  event: SendEvent,
  options?: SendEventOptions,
): Promise<SentEvent> {
  return send(scope, key, "sendEvent", async (op) => {
    const [sent] = await sendEvents(scope.execution.engine, [withId(op, event, 0)], options);
    return sent;
  });
}

export function sendEventsTask(
  scope: Scope,
  key: Key,
  events: readonly SendEvent[],
  options?: SendEventOptions,
): Promise<readonly SentEvent[]> {
  return send(scope, key, "sendEvents", (op) =>
    sendEvents(
      scope.execution.engine,
      events.map((event, index) => withId(op, event, index)),
      options,
    ),
  );
}

function send<T>(
  scope: Scope,
  key: Key,
  kind: TaskKind,
  sendNow: (op: Op) => Promise<unknown>,
): Promise<T> {
  const { execution } = scope;
  const { codec } = execution.engine;
  const decode = ({ output }: TaskRecord) => (output === null ? undefined : codec.decode(output));
  return execution.call<T>(scope, key, kind, decode, (op) => {
    void execution.hold(async () => {
      try {
        const sent = await sendNow(op);
        execution.record(
          op,
          { status: "COMPLETED", attempts: 1, output: await codec.encode(sent) },
          "settle",
        );
      } catch (error) {
        failOp(op, error);
      }
    });
  });
}

/** A crash between send and record repeats the send; the derived id makes that one event. */
function withId(op: Op, event: SendEvent, index: number): SendEvent {
  if (event.id !== undefined) return event;
  return { ...event, id: derivedId(`event ${index}`, op.runId, op.path, op.scope.tag) };
}
