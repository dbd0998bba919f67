import type { Duration } from "./duration.js";
import { ConfigError, PayloadError } from "./errors.js";
import type { FilterFor } from "./filter-types.js";
import { assertText } from "./key.js";
import { assertGivenOptions, describe } from "./options.js";
import type { RunStatus } from "./run-status.js";
import { assertSchema, type Schema, type SchemaInput, type SchemaOutput } from "./schema.js";

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
 * client.defineJob({ id: "ship", trigger: eventTrigger(orderPaid), run: async (order) => order.orderId });
 * await client.sendEvent({ name: orderPaid, payload: { orderId: "o1" } });
 */
export function defineEvent<S extends Schema | undefined = undefined>(options: {
  name: string;
  schema?: S;
}): EventDefinition<S> {
  assertGivenOptions(options, ["name", "schema"], "defineEvent");
  assertText(options.name, "event name");
  if (options.schema !== undefined) assertSchema(options.schema, `event "${options.name}"`);
  return Object.freeze({
    kind: "event-definition",
    name: options.name,
    schema: options.schema as S,
  });
}

/** What a definition has where options are asked for: its name and schema say all. */
const definitionFields = ["kind", "name", "schema"];

/** Options that name an event, or its definition itself. */
export function assertEventOptions(options: object, known: readonly string[], where: string): void {
  const isDefinition = (options as { kind?: unknown })?.kind === "event-definition";
  assertGivenOptions(options, isDefinition ? definitionFields : known, where);
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
  /**
   * Nobody hears it before. Its runs are made then, of the jobs that listen
   * then; until then, sending its id again replaces payload, context and time.
   */
  readonly deliverAt?: Date;
  /** The same, counted from now. Not together with `deliverAt`. */
  readonly deliverAfter?: Duration;
  /** Readable as `context.account.id`. */
  readonly accountId?: string;
}

export interface SentEvent {
  readonly id: string;
  /** Runs that this event started, one per job; none yet of a delayed one. */
  readonly runIds: readonly string[];
}

/** An event as it is read. */
export interface EventView {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly payload: unknown;
  readonly context: unknown;
  readonly timestamp: Date;
  readonly createdAt: Date;
  /** Of an event whose time has not come. */
  readonly deliverAt?: Date;
  readonly deliveredAt?: Date;
  readonly cancelledAt?: Date;
  /** Those that it started, and replays of them. */
  readonly runs: readonly {
    readonly id: string;
    readonly jobId: string;
    readonly status: RunStatus;
  }[];
}

/** Which event `waitForEvent` waits for. */
export interface EventWait<
  N extends EventNames = EventNames,
  S extends Schema | undefined = SchemaOfName<N>,
> {
  /** One name, or several of which any will do. */
  readonly name: N;
  /** Conditions on the payload as it was sent. Default: any. */
  readonly filter?: FilterFor<InputOf<S>>;
  /** Default "pawl", as for triggers. */
  readonly source?: string;
  /** Default: that of the event's definition. The payload is given out as this schema gives it. */
  readonly schema?: S;
  /**
   * Earlier events do not count. Default: those since the run was created
   * count, so an event that comes before the wait is not lost.
   */
  readonly since?: "now" | Date;
}

/** What `waitForEvent` gives. */
export interface ReceivedEvent<Payload = unknown> {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly payload: Payload;
  readonly context: unknown;
  readonly timestamp: Date;
}

/** Of several names: the schema that all of them have; of names without one: none. */
export type SchemaOfName<N> = N extends readonly (infer Each)[]
  ? SchemaOfName<Each>
  : N extends EventDefinition<infer S>
    ? S
    : undefined;

type InputOf<S> = S extends Schema ? SchemaInput<S> : unknown;

/** Payload of a {@link ReceivedEvent}. */
export type ReceivedPayload<S> = S extends Schema ? SchemaOutput<S> : unknown;

export const DEFAULT_SOURCE = "pawl";

function nameText(name: EventName): unknown {
  return typeof name === "string" ? name : name?.name;
}

export function nameOf(name: EventName): string {
  const text = nameText(name);
  if (typeof text !== "string") {
    throw new PayloadError(
      "EVENT_INVALID",
      "An event needs a name: a string or a defineEvent() result.",
    );
  }
  assertText(text, "event name");
  return text;
}

export type EventNames = EventName | readonly EventName[];

/** The names of one or several events, at least one. `where` is for the error text. */
export function namesOf(
  given: EventNames,
  where: string,
  code: "TRIGGER_INVALID" | "OPTION_INVALID",
): string[] {
  const list: readonly EventName[] = isList(given) ? given : [given];
  if (list.length === 0)
    throw new ConfigError(code, `${where} got an empty list of names. Name at least one event.`);
  for (const name of list) {
    if (typeof nameText(name) === "string") continue;
    throw new ConfigError(
      code,
      `${where} needs a name: a string or a defineEvent() result, got ${describe(name)}.`,
    );
  }
  return list.map(nameOf);
}

/** One payload is parsed with one schema, whichever of the events comes. */
export function schemaOfNames(
  given: EventNames,
  where: string,
  code: "TRIGGER_INVALID" | "OPTION_INVALID",
): Schema | undefined {
  const list: readonly EventName[] = isList(given) ? given : [given];
  const schemas = new Set(list.map((name) => (typeof name === "string" ? undefined : name.schema)));
  if (schemas.size === 1) return [...schemas][0];
  const names = list.map((name) => `"${nameOf(name)}"`).join(", ");
  throw new ConfigError(
    code,
    `The events ${names} have different schemas. Give ${where} a schema that fits all of them, such as a union.`,
  );
}

function isList(value: EventNames): value is readonly EventName[] {
  return Array.isArray(value);
}
