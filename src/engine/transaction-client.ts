import { ConfigError, PayloadError, TaskError } from "../core/errors.js";
import type { EventName, SendEvent, SendEventOptions, SentEvent } from "../core/event.js";
import type { AnyJob, InvokeArguments, JobOutput } from "../core/job.js";
import { assertOptions, describe } from "../core/options.js";
import type { RunHandle } from "../core/run.js";
import type { CreatedRun, NewRun } from "../core/storage.js";
import { whenAtHand } from "./at-hand.js";
import type { ClientLife } from "./client-life.js";
import type { Engine } from "./engine.js";
import { delayedRun, prepareEvent } from "./event-run.js";
import { newId } from "./ids.js";
import { assertSamePayload, createRefused, newInvokedRun } from "./start-runs.js";
import { isThenable } from "./thenable.js";

/**
 * Sends and invokes that are part of a transaction of the caller's: whoever
 * looks finds them once it has committed, and never if it rolls back. Made by
 * `client.withTransaction`.
 */
export class TransactionClient {
  readonly #life: ClientLife;
  readonly #tx: unknown;

  /** @throws ConfigError TRANSACTION_UNSUPPORTED */
  constructor(life: ClientLife, tx: unknown) {
    this.#life = life;
    this.#tx = tx;
    const { rawStorage } = life.engine;
    if (rawStorage.createRunsIn !== undefined) return;
    throw new ConfigError(
      "TRANSACTION_UNSUPPORTED",
      `The storage "${rawStorage.name}" cannot take part in a transaction of yours. Use postgres(…) or sqlite(…).`,
    );
  }

  /**
   * The jobs that hear the event are looked up when the transaction has
   * committed, so `runIds` is empty. An id that is known already adds nothing.
   *
   * @throws PayloadError EVENT_INVALID; ConfigError TRANSACTION_NOT_OPEN
   */
  sendEvent<const N extends EventName>(
    event: SendEvent<N>,
    options?: SendEventOptions,
  ): Promise<SentEvent> {
    return this.#promise(() =>
      whenAtHand(this.#send([event], options), ([sent]) => sent ?? { id: "", runIds: [] }),
    );
  }

  /** All or nothing. */
  sendEvents(
    events: readonly SendEvent[],
    options?: SendEventOptions,
  ): Promise<readonly SentEvent[]> {
    return this.#promise(() => this.#send(events, options));
  }

  /**
   * The rules of the job (`rateLimit`, `singleton`, …) are asked when the run is
   * about to start, as for runs that an event starts.
   *
   * @throws PayloadError PAYLOAD_INVALID; RunError IDEMPOTENCY_CONFLICT; ConfigError JOB_UNKNOWN, JOB_DISABLED, TRANSACTION_NOT_OPEN
   */
  invoke<J extends AnyJob | string>(
    job: J,
    ...[payload, options = {}]: InvokeArguments<J>
  ): Promise<RunHandle<JobOutput<J>>> {
    return this.#promise(() =>
      this.#whenReady(
        (engine) => {
          const id = newId(engine.storeClock.now());
          return newInvokedRun(engine, job, payload, options, { id });
        },
        (run) => whenAtHand(this.#create([run]), ([made]) => handleOf(run, made)),
      ),
    );
  }

  #send(
    events: readonly SendEvent[],
    options: SendEventOptions = {},
  ): readonly SentEvent[] | Promise<readonly SentEvent[]> {
    assertOptions(options, ["deliverAt", "deliverAfter", "accountId"], "sendEvent");
    if (!Array.isArray(events)) {
      throw new PayloadError("EVENT_INVALID", `sendEvents takes a list, got ${describe(events)}.`);
    }
    return this.#whenReady(
      (engine) => allAtHand(events.map((event) => prepareEvent(engine, event, options))),
      (prepared) => {
        // Who hears it is looked up by whoever delivers it: here nothing of the registry would be locked.
        const runs = prepared.map((event) => delayedRun(event, event.deliverAt ?? event.now));
        const sent = prepared.map(({ id }) => ({ id, runIds: [] }));
        return runs.length === 0 ? sent : whenAtHand(this.#create(runs), () => sent);
      },
    );
  }

  #create(runs: readonly NewRun[]): readonly CreatedRun[] | Promise<readonly CreatedRun[]> {
    const { engine } = this.#life;
    const element = {
      createId: engine.writeIds.next(),
      groups: runs.map((first) => ({ first })),
    };
    const answer = engine.rawStorage.createRunsIn?.(this.#tx, element);
    if (answer === undefined) throw createRefused({ result: "conflict" });
    return whenAtHand(answer, (result) => {
      if (result.result !== "ok") throw createRefused(result);
      engine.madeRunsIn.add(this.#tx as object);
      return result.groups.map(({ first }) => first);
    });
  }

  #whenReady<T, R>(
    prepare: (engine: Engine) => T | Promise<T>,
    next: (prepared: T) => R | Promise<R>,
  ): R | Promise<R> {
    return whenAtHand(this.#atHand(this.#life.ready()), () =>
      whenAtHand(this.#atHand(prepare(this.#life.engine)), next),
    );
  }

  get #isSynchronous(): boolean {
    return this.#life.engine.rawStorage.capabilities.synchronousTransactions === true;
  }

  /** By the time that something comes, a synchronous transaction is over. */
  #atHand<T>(value: T | Promise<T>): T | Promise<T> {
    if (!this.#isSynchronous || !isThenable(value)) return value;
    Promise.resolve(value).then(undefined, () => {});
    throw new TaskError(
      "TRANSACTION_ASYNC",
      `A send or invoke in a transaction of ${this.#life.engine.rawStorage.name} had to wait: for a schema or a codec that is asynchronous, or to look up a job that only other processes have. Send or invoke it outside of the transaction.`,
    );
  }

  /** A synchronous transaction must hear of an error before it commits, so there it is thrown. */
  #promise<T>(make: () => T | Promise<T>): Promise<T> {
    if (this.#isSynchronous) return Promise.resolve(make());
    try {
      return Promise.resolve(make());
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

function handleOf(run: NewRun, made: CreatedRun | undefined): { readonly id: string } {
  if (made === undefined) throw createRefused({ result: "conflict" });
  assertSamePayload(run, made);
  return { id: made.id };
}

function allAtHand<T>(values: readonly (T | Promise<T>)[]): readonly T[] | Promise<readonly T[]> {
  return values.some(isThenable) ? Promise.all(values) : (values as readonly T[]);
}
