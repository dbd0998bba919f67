import {
  assertEventOptions,
  DEFAULT_SOURCE,
  type EventNames,
  namesOf,
  type SchemaOfName,
  schemaOfNames,
} from "./event.js";
import { checkedFilter } from "./filter.js";
import type { EventFilter, FilterFor } from "./filter-types.js";
import { assertText } from "./key.js";
import { assertOptions } from "./options.js";
import type { Schedule, SchedulePolicy } from "./schedule.js";
import { assertSchema, type Schema, type SchemaInput, type SchemaOutput } from "./schema.js";

/** What a trigger says about itself to other processes, as plain data. */
export type TriggerData =
  | { readonly type: "invoke" }
  | EventTriggerData
  | ScheduleTriggerData
  /** Ticks when a schedule that was registered under this id does. */
  | { readonly type: "dynamic"; readonly id: string };

export interface ScheduleTriggerData extends SchedulePolicy {
  readonly type: "schedule";
  readonly schedule: Schedule;
}

export interface EventTriggerData {
  readonly type: "event";
  readonly names: readonly string[];
  readonly source: string;
  readonly filter?: EventFilter;
}

/** What starts runs of a job. `Input` is what senders give, `Output` what `run` gets. */
export interface Trigger<Input = unknown, Output = Input> {
  readonly data: TriggerData;
  readonly schema: Schema | undefined;
  readonly examples: readonly TriggerExample[];
  /** Carries the types; never set. */
  readonly "~types"?: { readonly input: Input; readonly output: Output };
}

export interface TriggerExample {
  readonly id: string;
  readonly name: string;
  readonly payload: unknown;
}

type InputOf<S, Otherwise> = S extends Schema ? SchemaInput<S> : Otherwise;
type OutputOf<S, Otherwise> = S extends Schema ? SchemaOutput<S> : Otherwise;
/**
 * Starts a run for each event of this name (or any of these names) and source.
 *
 * `run` gets the payload as the schema gives it out. An event whose payload the
 * schema refuses makes a run that is INVALID_PAYLOAD and never calls `run`.
 *
 * @example
 * eventTrigger({
 *   name: "order.placed",
 *   schema: z.object({ orderId: z.string(), total: z.number(), country: z.string() }),
 *   filter: { country: ["DE", "AT"], total: [{ $gte: 100 }] },
 * })
 * @throws ConfigError TRIGGER_INVALID, FILTER_INVALID, OPTION_UNKNOWN, SCHEMA_UNRECOGNIZED
 */
export function eventTrigger<
  const N extends EventNames,
  S extends Schema | undefined = SchemaOfName<N>,
>(options: {
  name: N;
  schema?: S;
  /** Only events whose payload, as it was sent, meets it are heard. Default: all. */
  filter?: FilterFor<InputOf<S, unknown>>;
  /** Only events sent with the same source are heard. Default "pawl". */
  source?: string;
  examples?: readonly TriggerExample[];
}): Trigger<InputOf<S, unknown>, OutputOf<S, unknown>> {
  assertEventOptions(options, ["name", "schema", "filter", "source", "examples"], "eventTrigger");
  const names = namesOf(options.name, "eventTrigger", "TRIGGER_INVALID");
  const where = `eventTrigger "${names.join(", ")}"`;
  const schema = options.schema ?? schemaOfNames(options.name, "eventTrigger", "TRIGGER_INVALID");
  if (schema !== undefined) assertSchema(schema, where);
  if (options.source !== undefined) assertText(options.source, "source of eventTrigger");
  const data: TriggerData = {
    type: "event",
    names,
    source: options.source ?? DEFAULT_SOURCE,
    ...(options.filter === undefined
      ? undefined
      : { filter: checkedFilter(options.filter, `filter of ${where}`) }),
  };
  return Object.freeze({ data, schema, examples: options.examples ?? [] });
}

/**
 * Starts runs only by `invoke`.
 *
 * @example
 * invokeTrigger({ schema: z.object({ orderId: z.string() }) })
 * @throws ConfigError OPTION_UNKNOWN, SCHEMA_UNRECOGNIZED
 */
export function invokeTrigger<S extends Schema | undefined = undefined>(
  options: { schema?: S; examples?: readonly TriggerExample[] } = {},
): Trigger<InputOf<S, unknown>, OutputOf<S, unknown>> {
  assertOptions(options, ["schema", "examples"], "invokeTrigger");
  if (options.schema !== undefined) assertSchema(options.schema, "invokeTrigger");
  const data: TriggerData = { type: "invoke" };
  return Object.freeze({ data, schema: options.schema, examples: options.examples ?? [] });
}
