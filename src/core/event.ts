import type { Duration } from "./duration.js";
import { ConfigError } from "./errors.js";
import { assertText } from "./key.js";
import { assertSchema, type Schema, type SchemaInput } from "./schema.js";

/** A name with the schema of its payload, shared by trigger, send and wait. */
export interface EventDefinition<S extends Schema | undefined = Schema | undefined> {
  readonly kind: "event-definition";
  readonly name: string;
  readonly schema: S;
}

/**
 * Names an event and types its payload once, for `eventTrigger`, `sendEvent`
 * and `waitForEvent`.
 *
 * @example
 * const orderPaid = defineEvent({ name: "order.paid", schema: z.object({ orderId: z.string() }) });
 * client.defineJob({ id: "ship", trigger: eventTrigger({ name: orderPaid }), run: async (order) => order.orderId });
 * await client.sendEvent({ name: orderPaid, payload: { orderId: "o1" } });
 */
export function defineEvent<S extends Schema | undefined = undefined>(options: {
  name: string;
  schema?: S;
}): EventDefinition<S> {
  assertText(options.name, "event name");
  if (options.schema !== undefined) assertSchema(options.schema, `event "${options.name}"`);
  return Object.freeze({
    kind: "event-definition",
    name: options.name,
    schema: options.schema as S,
  });
}

export type EventName = string | EventDefinition;

/** Payload type of an event: what its schema takes, else anything. */
export type EventPayload<N> =
  N extends EventDefinition<infer S> ? (S extends Schema ? SchemaInput<S> : unknown) : unknown;

/** An event to send. Its payload may only be left out if the event's schema takes undefined. */
export type SendEvent<N extends EventName = EventName> = EventFields<N> &
  (undefined extends EventPayload<N>
    ? { readonly payload?: EventPayload<N> }
    : { readonly payload: EventPayload<N> });

interface EventFields<N extends EventName> {
  readonly name: N;
  /** Accepted once; a second event with this id is ignored. Default: a fresh ULID. */
  readonly id?: string;
  /** Only triggers with the same source hear it. Default "pawl". */
  readonly source?: string;
  /** Readable as `context.event.context`. */
  readonly context?: unknown;
  /** When it happened, for readers. Default: now. */
  readonly timestamp?: Date;
}

export interface SendEventOptions {
  readonly deliverAt?: Date;
  readonly deliverAfter?: Duration;
  /** Readable as `context.account.id`. */
  readonly accountId?: string;
}

export interface SentEvent {
  readonly id: string;
  /** Runs that this event started, one per job. */
  readonly runIds: readonly string[];
}

export const DEFAULT_SOURCE = "pawl";

export function nameOf(name: EventName): string {
  const text: unknown = typeof name === "string" ? name : name?.name;
  if (typeof text !== "string") {
    throw new ConfigError(
      "EVENT_INVALID",
      "An event needs a name: a string or a defineEvent() result.",
    );
  }
  assertText(text, "event name");
  return text;
}
