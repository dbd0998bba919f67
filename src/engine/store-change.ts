import { defaultCodec } from "../core/codec.js";
import { RunError } from "../core/errors.js";
import { describe } from "../core/options.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";

/** What a call makes of the value that it meets, both as text of the codec. */
export interface Decision {
  /** null: undefined. */
  readonly answer: string | null;
  /** null deletes; left out, the value stays as it is. */
  readonly next?: string | null;
}

/** Decides from the present text, undefined if there is none; called again if that has moved on. */
export type Change = (current: string | undefined) => Decision | Promise<Decision>;

export const read: Change = (current) => ({ answer: current ?? null });

export function hasValue(engine: Engine): Change {
  return async (current) => ({ answer: await engine.codec.encode(current !== undefined) });
}

export function deleted(engine: Engine): Change {
  return async (current) =>
    current === undefined
      ? { answer: await engine.codec.encode(false) }
      : { answer: await engine.codec.encode(true), next: null };
}

export function textOf(engine: Engine, value: unknown, name: string): string | Promise<string> {
  return encodeValue(engine, value, `value "${name}" of the store`, "storeValueBytes");
}

export function incremented(engine: Engine, name: string, by: number): Change {
  return async (current) => {
    const value = current === undefined ? 0 : await engine.codec.decode(current);
    if (typeof value !== "number") {
      throw new RunError(
        "STORE_VALUE_INVALID",
        `The value "${name}" of the store is ${describe(value)}, and only a number can be incremented. Set it to a number, or use another name.`,
      );
    }
    const next = await engine.codec.encode(value + by);
    return { answer: next, next };
  };
}

export async function swapped(
  engine: Engine,
  name: string,
  expected: unknown,
  next: unknown,
): Promise<Change> {
  const text = await textOf(engine, next, name);
  const wanted = expected === undefined ? undefined : comparable(expected);
  return async (current) => {
    const found =
      current === undefined ? undefined : comparable(await engine.codec.decode(current));
    const answer = await engine.codec.encode(found === wanted);
    return found === wanted ? { answer, next: text } : { answer };
  };
}

/** By this codec, whatever the client's is: one that encrypts gives another text each time. */
function comparable(value: unknown): string {
  return defaultCodec.encode(value, "value to compare");
}
