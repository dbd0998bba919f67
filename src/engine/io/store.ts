import type { Key } from "../../core/key.js";
import type { TaskRecord } from "../../core/storage.js";
import {
  checkedName,
  checkedStep,
  type KeyedStore,
  type Stores,
  valueKey,
} from "../../core/store.js";
import { encodeTaskData, type TaskKind } from "../../core/task-data.js";
import { recordCompared } from "../compared-record.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import {
  type Change,
  type Decision,
  deleted,
  hasValue,
  incremented,
  read,
  swapped,
  textOf,
} from "../store-change.js";
import { failOp } from "./invoke.js";
import { rejected } from "./run-task.js";

type Place = "env" | "job" | "run";

export function storesOf(scope: () => Scope): Stores {
  return {
    env: new ScopedStore(scope, "env"),
    job: new ScopedStore(scope, "job"),
    run: new ScopedStore(scope, "run"),
  };
}

class ScopedStore implements KeyedStore {
  readonly #scope: () => Scope;
  readonly #place: Place;

  constructor(scope: () => Scope, place: Place) {
    this.#scope = scope;
    this.#place = place;
  }

  get<T = unknown>(key: Key, name: string): Promise<T | undefined> {
    return this.#call(key, "storeGet", name, () => read);
  }

  set<T>(key: Key, name: string, value: T): Promise<T> {
    return this.#call(key, "storeSet", name, async ({ execution }) => {
      const text = await textOf(execution.engine, value, name);
      return () => ({ answer: text, next: text });
    });
  }

  has(key: Key, name: string): Promise<boolean> {
    return this.#call(key, "storeHas", name, ({ execution }) => hasValue(execution.engine));
  }

  delete(key: Key, name: string): Promise<boolean> {
    return this.#call(key, "storeDelete", name, ({ execution }) => deleted(execution.engine));
  }

  increment(key: Key, name: string, by = 1): Promise<number> {
    return this.#call(key, "storeIncrement", name, ({ execution }) =>
      incremented(execution.engine, name, checkedStep(by, `io.store.${this.#place}.increment`)),
    );
  }

  compareAndSet<T>(key: Key, name: string, expected: T | undefined, next: T): Promise<boolean> {
    return this.#call(key, "storeCompareAndSet", name, ({ execution }) =>
      swapped(execution.engine, name, expected, next),
    );
  }

  #call<T>(
    key: Key,
    kind: TaskKind,
    name: string,
    changeOf: (scope: Scope) => Change | Promise<Change>,
  ): Promise<T> {
    const scope = this.#scope();
    const { execution } = scope;
    try {
      checkedName(name, `io.store.${this.#place}`);
    } catch (error) {
      return rejected(error);
    }
    const decode = ({ output }: TaskRecord) =>
      output === null ? undefined : execution.engine.codec.decode(output);
    return execution.call<T>(scope, key, kind, decode, (op) => {
      void execution.hold(async () => {
        try {
          await applied(op, this.#place, name, await changeOf(scope));
        } catch (error) {
          failOp(op, error);
        }
      });
    });
  }
}

/** Calls of one value come one after the other, so that they do not get into each other's way. */
function applied(op: Op, place: Place, name: string, change: Change): Promise<void> {
  const { execution } = op.scope;
  const { engine, runId, job } = execution;
  if (place === "run")
    return engine.storeTurns.take(`run:${runId}/${name}`, () => changeOwn(op, name, change));
  const key = valueKey(place === "job" ? job.id : undefined, name);
  // What does not depend on the value that is there need not wait for its turn.
  if (op.kind === "storeSet" || op.kind === "storeGet" || op.kind === "storeHas")
    return changeShared(op, key, change);
  return engine.storeTurns.take(key, () => changeShared(op, key, change));
}

async function changeOwn(op: Op, name: string, change: Change): Promise<void> {
  const { execution } = op.scope;
  const { answer, next } = await change(execution.store.get(name));
  if (!execution.isLive || op.scope.isClosed) return;
  const data = next === undefined ? null : encodeTaskData({ stored: { name, text: next } });
  if (next !== undefined) execution.store.set(name, next);
  execution.record(op, { status: "COMPLETED", attempts: 1, output: answer, data }, "settle");
}

/** Value and record are one commit; if the value has moved on, the change is decided again. */
async function changeShared(op: Op, key: string, change: Change): Promise<void> {
  const { execution } = op.scope;
  const { patience, rawStorage } = execution.engine;
  for (;;) {
    if (!execution.isLive || op.scope.isClosed) return;
    if (op.kind === "storeSet") {
      record(op, key, await change(undefined));
      return;
    }
    const current = await patience.until(() => rawStorage.getValue(key));
    const decision = await change(current?.value);
    if (decision.next === undefined) {
      record(op, key, decision);
      return;
    }
    const values = [{ key, value: decision.next, expected: current?.version ?? 0 }];
    const answer = await recordCompared(execution, op, draftOf(decision), values);
    if (answer !== "conflict") return;
  }
}

function record(op: Op, key: string, decision: Decision): void {
  const { execution } = op.scope;
  if (!execution.isLive || op.scope.isClosed) return;
  const { next } = decision;
  if (next !== undefined) execution.writer.pending.values.push({ key, value: next });
  execution.record(op, draftOf(decision), "settle");
}

function draftOf({ answer }: Decision) {
  return { status: "COMPLETED", attempts: 1, output: answer } as const;
}
