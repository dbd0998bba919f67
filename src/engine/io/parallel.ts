import { encodeErrorRecord, toErrorRecord } from "../../core/error-record.js";
import { ConfigError } from "../../core/errors.js";
import type { Io, ParallelOptions } from "../../core/io.js";
import type { Key } from "../../core/key.js";
import { assertInteger, assertOptions } from "../../core/options.js";
import type { TaskRecord } from "../../core/storage.js";
import { encodeTaskData } from "../../core/task-data.js";
import { runInScope } from "../async-context.js";
import { encodeValue } from "../encode.js";
import type { Op } from "../op.js";
import { Scope } from "../scope.js";
import { rejected, runTask } from "./run-task.js";

/** One task per item under a task of its own; results in the order of the items. */
export function parallel<Item, R>(
  scope: Scope,
  key: Key,
  items: readonly Item[],
  callback: (item: Item, index: number, io: Io) => R | Promise<R>,
  options: ParallelOptions<Item> = {},
): Promise<R[]> {
  try {
    assertOptions(options, ["concurrency", "keyBy", "name"], "io.parallel");
    if (!Array.isArray(items)) {
      throw new ConfigError(
        "OPTION_INVALID",
        `io.parallel takes an array of items as its second argument, got ${typeof items}.`,
      );
    }
    if (options.concurrency !== undefined)
      assertInteger(options.concurrency, "concurrency of io.parallel", { min: 1 });
  } catch (error) {
    return rejected(error);
  }
  const { keyBy = (_item: Item, index: number) => String(index), concurrency = items.length } =
    options;
  return group<R[]>(scope, key, "parallel", options.name, (inner) =>
    inSlots(items, concurrency, (item, index) =>
      runTask(inner, keyBy(item, index), (_task, io) => callback(item, index, io)),
    ),
  );
}

/** A parent whose children do the work: it records what `body` gives, or its error. */
export function group<T>(
  scope: Scope,
  key: Key,
  kind: "parallel" | "batch" | "waitForRequest",
  name: string | undefined,
  body: (inner: Scope, op: Op) => Promise<unknown>,
): Promise<T> {
  const { execution } = scope;
  const { engine } = execution;
  const decode = ({ output }: TaskRecord) =>
    output === null ? undefined : engine.codec.decode(output);
  return execution.call<T>(scope, key, kind, decode, (op) => {
    const inner = new Scope(execution, op.path, scope.tag, { parent: scope, isTask: true });
    const data = encodeTaskData({ ...(name === undefined ? undefined : { name }), tag: scope.tag });
    inner.enter();
    const startedAt = engine.storeClock.now();
    const finish = async () => {
      try {
        const output = await encodeValue(
          engine,
          await runInScope(inner, () => body(inner, op)),
          `output of "${op.path}"`,
        );
        execution.record(
          op,
          {
            status: "COMPLETED",
            output,
            attempts: 1,
            startedAt,
            data: name === undefined ? null : data,
          },
          "settle",
        );
      } catch (error) {
        const failure = encodeErrorRecord(toErrorRecord(error));
        execution.record(
          op,
          { status: "FAILED", error: failure, attempts: 1, startedAt, data },
          "settle",
        );
      }
      inner.exit();
    };
    void finish();
  });
}

/** At most `concurrency` at a time. Waits for all of them, then throws the first error if there was one. */
export async function inSlots<Item, R>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const errors: { index: number; error: unknown }[] = [];
  let next = 0;
  const slot = async () => {
    while (next < items.length) {
      const index = next++;
      const item = items[index] as Item;
      try {
        results[index] = await work(item, index);
      } catch (error) {
        errors.push({ index, error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, slot));
  const [first] = errors;
  if (first !== undefined) throw first.error;
  return results;
}
