import { type Codec, defaultCodec } from "../core/codec.js";
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
  const { codec } = engine;
  const text = await textOf(engine, next, name);
  const wanted = await codec.encode(expected, comparedAs);
  return async (current) => {
    const isExpected =
      current === undefined ? expected === undefined : await isSameValue(codec, current, wanted);
    const answer = await codec.encode(isExpected);
    return isExpected ? { answer, next: text } : { answer };
  };
}

const comparedAs = "value to compare";

/** Compared as the client's codec stores them, unless that gives another text each time, as one that encrypts does. */
async function isSameValue(codec: Codec, current: string, wanted: string): Promise<boolean> {
  if (current === wanted) return true;
  const found = await codec.decode(current);
  const again = await codec.encode(found, comparedAs);
  if (again === current || again === wanted) return again === wanted;
  const wantedValue = await codec.decode(wanted);
  return defaultCodec.encode(found, comparedAs) === defaultCodec.encode(wantedValue, comparedAs);
}
