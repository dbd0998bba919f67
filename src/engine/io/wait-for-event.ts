import { type Duration, durationMs, instantOf } from "../../core/duration.js";
import { ConfigError, WaitTimeoutError } from "../../core/errors.js";
import {
  assertEventOptions,
  DEFAULT_SOURCE,
  type EventWait,
  namesOf,
  type ReceivedEvent,
  schemaOfNames,
} from "../../core/event.js";
import { checkedFilter } from "../../core/filter.js";
import { assertText, type Key } from "../../core/key.js";
import { assertOptions, describe } from "../../core/options.js";
import { assertSchema, parseWith, type Schema } from "../../core/schema.js";
import type { RunRecord, Signal, TaskRecord } from "../../core/storage.js";
import { decodeTaskData, encodeTaskData } from "../../core/task-data.js";
import { waitSignalTopic } from "../deliver-event.js";
import { encodeValue } from "../encode.js";
import type { Sought } from "../event-match.js";
import { storedEvent } from "../event-run.js";
import { earliestEvent, type LookBack } from "../look-back.js";
import type { Op } from "../op.js";
import { receiptsOf } from "../received-events.js";
import { eventOf } from "../run-meta.js";
import type { Scope } from "../scope.js";
import { payloadInvalid } from "../start-runs.js";
import { failOp } from "./invoke.js";
import { rejected } from "./run-task.js";

/** A checked call of `waitForEvent`. */
interface Wanted {
  readonly sought: Sought;
  /** The text of `sought`, as it is recorded. */
  readonly text: string;
  readonly schema: Schema | undefined;
  readonly since: "now" | number | undefined;
  readonly timeoutMs: number | undefined;
}

export function waitForEvent<T>(
  scope: Scope,
  key: Key,
  wait: EventWait,
  options: { readonly timeout?: Duration } = {},
): Promise<T> {
  const { execution } = scope;
  let wanted: Wanted;
  try {
    wanted = checkedWait(wait, options);
  } catch (error) {
    return rejected(error);
  }
  const decode = ({ output }: TaskRecord) => execution.engine.codec.decode(output ?? "");
  return execution.call<T>(scope, key, "waitForEvent", decode, (op, earlier) => {
    void execution.hold(() => new OpenEventWait(op, wanted).begin(earlier));
  });
}

function checkedWait(wait: EventWait, options: { readonly timeout?: Duration }): Wanted {
  if (typeof wait !== "object" || wait === null) {
    throw new ConfigError(
      "OPTION_INVALID",
      `io.waitForEvent takes { name, filter?, … } after its key, got ${describe(wait)}.`,
    );
  }
  assertEventOptions(wait, ["name", "filter", "source", "schema", "since"], "io.waitForEvent");
  assertOptions(options, ["timeout"], "io.waitForEvent");
  const names = namesOf(wait.name, "io.waitForEvent", "OPTION_INVALID");
  const where = `io.waitForEvent "${names.join(", ")}"`;
  const schema = wait.schema ?? schemaOfNames(wait.name, "io.waitForEvent", "OPTION_INVALID");
  if (schema !== undefined) assertSchema(schema, where);
  if (wait.source !== undefined) assertText(wait.source, `source of ${where}`);
  const sought: Sought = {
    names,
    source: wait.source ?? DEFAULT_SOURCE,
    ...(wait.filter === undefined
      ? undefined
      : { filter: checkedFilter(wait.filter, `filter of ${where}`) }),
  };
  return {
    sought,
    text: JSON.stringify(sought),
    schema,
    since: checkedSince(wait.since, where),
    timeoutMs:
      options.timeout === undefined
        ? undefined
        : durationMs(options.timeout, `timeout of ${where}`),
  };
}

function checkedSince(since: EventWait["since"], where: string): "now" | number | undefined {
  if (since === undefined || since === "now") return since;
  const instant = instantOf(since);
  if (instant !== undefined) return instant;
  throw new ConfigError(
    "OPTION_INVALID",
    `since of ${where} is ${describe(since)}; pass "now" or a valid Date.`,
  );
}

/**
 * One wait in one execution. It is recorded first, while the run is held, then
 * looks back, then waits: an event that comes before the record is found by
 * looking back, one that comes later finds the record and signals. A signal
 * only says that it is time to look again, so events are taken in their order,
 * whichever order their signals come in (contract E6, E8).
 */
class OpenEventWait {
  readonly #op: Op;
  readonly #wanted: Wanted;
  #lookBacks: readonly LookBack[] = [];

  constructor(op: Op, wanted: Wanted) {
    this.#op = op;
    this.#wanted = wanted;
  }

  async begin(earlier: TaskRecord | undefined): Promise<void> {
    const recorded = earlier?.status === "WAITING" ? earlier : undefined;
    const from = recorded === undefined ? this.#from() : (decodeTaskData(recorded.data).since ?? 0);
    this.#lookBacks = await this.#listen(from);
    if (this.#isOver) return;
    const wakeAt = recorded === undefined ? this.#deadline() : recorded.wakeAt;
    // With another filter than the code had before, it listens elsewhere.
    if (recorded?.filter !== this.#wanted.text) await this.#record(from, wakeAt);
    await this.#look(wakeAt ?? undefined);
  }

  /** Nothing more is recorded for it: a race was decided against it, say. */
  get #isOver(): boolean {
    const { scope } = this.#op;
    return scope.isClosed || !scope.execution.isLive;
  }

  #from(): number {
    const { execution } = this.#op.scope;
    const { since } = this.#wanted;
    if (since === "now") return execution.engine.storeClock.now();
    return since ?? execution.run.createdAt;
  }

  #deadline(): number | null {
    const { timeoutMs } = this.#wanted;
    if (timeoutMs === undefined) return null;
    return this.#op.scope.execution.engine.storeClock.now() + timeoutMs;
  }

  async #listen(from: number): Promise<LookBack[]> {
    const { engine } = this.#op.scope.execution;
    const { names, filter } = this.#wanted.sought;
    return Promise.all(
      names.map(async (name) => {
        const listened = await engine.patience.until(() => engine.paths.ensure(name, filter));
        return { name, from, ...listened };
      }),
    );
  }

  #record(since: number, wakeAt: number | null): Promise<void> {
    const { execution, tag } = this.#op.scope;
    return new Promise((resolve) => {
      const data = encodeTaskData({ tag, since, ...receiptsOf(this.#op.record) });
      const topics = this.#lookBacks.map(({ topic }) => topic);
      const filter = this.#wanted.text;
      execution.record(this.#op, { status: "WAITING", wakeAt, data, topics, filter }, resolve);
    });
  }

  /** Settles with the first event that is there, or waits for the next. */
  async #look(wakeAt: number | undefined, signal?: Signal): Promise<void> {
    const op = this.#op;
    const { execution } = op.scope;
    const event = await this.#earliest();
    if (this.#isOver) return;
    if (signal !== undefined) execution.writer.pending.signalsRead.push(signal.id);
    if (event !== undefined) {
      await this.#settle(event);
      return;
    }
    if (signal !== undefined) execution.writer.enqueue();
    execution.waits.add(op, {
      topic: waitSignalTopic(op.path),
      onSignal: (next) => void execution.hold(() => this.#look(wakeAt, next)),
      ...(wakeAt === undefined
        ? undefined
        : { wakeAt, onDue: () => void execution.hold(() => this.#timeout()) }),
    });
  }

  /** Of several names the event that was created first. */
  async #earliest(): Promise<RunRecord | undefined> {
    const { execution } = this.#op.scope;
    const { engine } = execution;
    const waitingSince = this.#op.record?.seq ?? 0;
    const isWanted = async (event: RunRecord) => {
      const id = event.eventId ?? "";
      if (id === execution.run.eventId) return false;
      if (execution.received.wasBefore(id, waitingSince)) return false;
      return engine.matcher.of(storedEvent(event))(this.#wanted.text);
    };
    const found = await Promise.all(
      this.#lookBacks.map((lookBack) => earliestEvent(engine, lookBack, isWanted)),
    );
    return found
      .filter((event) => event !== undefined)
      .sort((a, b) => a.createdAt - b.createdAt)[0];
  }

  /** A fulfilment that is there wins over the timeout. */
  async #timeout(): Promise<void> {
    const event = await this.#earliest();
    if (event !== undefined) {
      await this.#settle(event);
      return;
    }
    const { path, runId } = this.#op;
    const names = this.#wanted.sought.names.map((name) => `"${name}"`).join(", ");
    failOp(
      this.#op,
      new WaitTimeoutError(
        `No event ${names} that fits came in time for "${path}" of run ${runId}. Raise the timeout, or look whether the event was sent with this name, source and payload.`,
      ),
      receiptsOf(this.#op.record),
    );
  }

  async #settle(event: RunRecord): Promise<void> {
    const op = this.#op;
    const { execution } = op.scope;
    const { engine } = execution;
    const eventId = event.eventId ?? "";
    const data = { eventId, ...receiptsOf(op.record) };
    try {
      const received = await this.#received(event);
      const output = await encodeValue(engine, received, `event of "${op.path}"`);
      execution.record(
        op,
        { status: "COMPLETED", attempts: 1, output, data: encodeTaskData(data) },
        "settle",
      );
    } catch (error) {
      // It was this wait's event all the same: another wait does not get it again.
      failOp(op, error, data);
    }
    if (op.record?.status !== "WAITING") execution.received.add(eventId, op.path, op.seq);
  }

  async #received(event: RunRecord): Promise<ReceivedEvent> {
    const { engine } = this.#op.scope.execution;
    const { id, name, source, payload } = storedEvent(event);
    const { context, timestamp } = await eventOf(engine, event);
    const value = await engine.codec.decode(payload);
    const common = { id, name, source, context, timestamp };
    const { schema } = this.#wanted;
    if (schema === undefined) return { ...common, payload: value };
    const parsed = await parseWith(schema, value);
    if (parsed.ok) return { ...common, payload: parsed.value };
    throw payloadInvalid(`waitForEvent "${this.#op.path}"`, parsed.issues);
  }
}
