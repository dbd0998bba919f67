import { ConfigError } from "../core/errors.js";
import { assertFunction } from "../core/options.js";
import type { RunNotification } from "../core/run.js";
import { runOutsideScope } from "./async-context.js";

/** What `client.on` tells: this process only, best effort. */
export interface ClientEvents {
  runStarted: RunEvent;
  runWaiting: RunEvent;
  runSucceeded: RunNotification;
  runFailed: RunNotification;
  runCanceled: RunNotification;
  runBlocked: RunEvent & { readonly error: Error };
  taskCompleted: TaskEvent;
  taskFailed: TaskEvent & { readonly error: Error };
}

export interface RunEvent {
  readonly id: string;
  readonly jobId: string;
}

export interface TaskEvent {
  readonly runId: string;
  readonly jobId: string;
  readonly path: string;
  readonly attempts: number;
}

export type ClientEventName = keyof ClientEvents;
export type Listener<E extends ClientEventName> = (event: ClientEvents[E]) => void;

export const clientEventNames = [
  "runStarted",
  "runWaiting",
  "runSucceeded",
  "runFailed",
  "runCanceled",
  "runBlocked",
  "taskCompleted",
  "taskFailed",
] as const satisfies readonly ClientEventName[];

/** A throwing listener harms neither the run nor the other listeners. */
export class Emitter {
  readonly #listeners = new Map<ClientEventName, Set<(event: never) => void>>();
  readonly #onTrouble: (error: unknown) => void;

  constructor(onTrouble: (error: unknown) => void) {
    this.#onTrouble = onTrouble;
  }

  on<E extends ClientEventName>(name: E, listener: Listener<E>): () => void {
    if (!(clientEventNames as readonly string[]).includes(name)) {
      throw new ConfigError(
        "OPTION_INVALID",
        `There is no client event "${name}". Use one of ${clientEventNames.join(", ")}.`,
      );
    }
    assertFunction(listener, `The listener of "${name}"`);
    const listeners = this.#listeners.get(name) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(name, listeners);
    return () => listeners.delete(listener);
  }

  /** Lets the caller skip the making of an event that nobody hears. */
  hears(name: ClientEventName): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<E extends ClientEventName>(name: E, event: ClientEvents[E]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        // Not in the scope of whatever run the engine happens to work for.
        const done: unknown = runOutsideScope(() => (listener as Listener<E>)(event));
        // An async listener that throws must not end the process as an unhandled rejection.
        if (done instanceof Promise) done.catch(this.#onTrouble);
      } catch (error) {
        this.#onTrouble(error);
      }
    }
  }
}
