import { StorageError } from "../core/errors.js";
import { checkedName, checkedStep, type EnvStore, valueKey } from "../core/store.js";
import type { Engine } from "./engine.js";
import { refuseInRun } from "./replay-guard.js";
import {
  type Change,
  deleted,
  hasValue,
  incremented,
  read,
  swapped,
  textOf,
} from "./store-change.js";

interface Opened {
  readonly engine: Engine;
  ready(): Promise<void> | undefined;
}

/** `client.store.env`: each call is one change in the storage, and nothing is remembered. */
export class ClientEnvStore implements EnvStore {
  readonly #opened: Opened;

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  get<T = unknown>(name: string): Promise<T | undefined> {
    return this.#apply("get", name, () => read);
  }

  set<T>(name: string, value: T): Promise<T> {
    return this.#apply("set", name, async (engine) => {
      const text = await textOf(engine, value, name);
      return () => ({ answer: text, next: text });
    });
  }

  has(name: string): Promise<boolean> {
    return this.#apply("has", name, hasValue);
  }

  delete(name: string): Promise<boolean> {
    return this.#apply("delete", name, deleted);
  }

  increment(name: string, by = 1): Promise<number> {
    return this.#apply("increment", name, (engine) =>
      incremented(engine, name, checkedStep(by, "store.env.increment")),
    );
  }

  compareAndSet<T>(name: string, expected: T | undefined, next: T): Promise<boolean> {
    return this.#apply("compareAndSet", name, (engine) => swapped(engine, name, expected, next));
  }

  async #apply<T>(
    method: keyof EnvStore,
    name: string,
    changeOf: (engine: Engine) => Change | Promise<Change>,
  ): Promise<T> {
    const { engine } = this.#opened;
    checkedName(name, `store.env.${method}`);
    if (method !== "get" && method !== "has") refuseInRun(`store.env.${method}`);
    await this.#opened.ready();
    const key = valueKey(undefined, name);
    const change = await changeOf(engine);
    const answer = await engine.storeTurns.take(key, () => applied(engine, key, change));
    return (answer === null ? undefined : await engine.codec.decode(answer)) as T;
  }
}

async function applied(engine: Engine, key: string, change: Change): Promise<string | null> {
  for (;;) {
    const current = await engine.patience.until(() => engine.rawStorage.getValue(key));
    const { answer, next } = await change(current?.value);
    if (next === undefined || (await isWritten(engine, key, next, current?.version ?? 0)))
      return answer;
  }
}

/** Not tried again after a failure: that could change the value twice. */
async function isWritten(
  engine: Engine,
  key: string,
  next: string | null,
  version: number,
): Promise<boolean> {
  try {
    const { ok } =
      next === null
        ? await engine.rawStorage.deleteValue(key, version)
        : await engine.rawStorage.setValue(key, next, version);
    return ok;
  } catch (cause) {
    throw new StorageError(
      "STORAGE_FAILED",
      `The storage failed while a value of the store was changed: ${String(cause)}. Read the value to see whether it was, then decide.`,
      { cause, details: { key } },
    );
  }
}
