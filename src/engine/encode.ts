import { encodedBytes } from "../core/codec.js";
import { PayloadError } from "../core/errors.js";
import type { Caps, Engine } from "./engine.js";

type ValueCap = Extract<keyof Caps, "taskOutputBytes" | "storeValueBytes">;

/** Text of a user's value. Throws VALUE_NOT_SERIALIZABLE or VALUE_TOO_LARGE before anything is recorded. */
export function encodeValue(
  engine: Engine,
  value: unknown,
  what: string,
  capName: ValueCap = "taskOutputBytes",
): string | Promise<string> {
  const text = engine.codec.encode(value, what);
  return typeof text === "string"
    ? withinCap(engine, text, what, capName)
    : text.then((done) => withinCap(engine, done, what, capName));
}

function withinCap(engine: Engine, text: string, what: string, capName: ValueCap): string {
  const cap = engine.caps[capName];
  // UTF-8 has at most three bytes for each UTF-16 unit: the exact count is only taken near the cap.
  if (text.length * 3 <= cap || encodedBytes(text) <= cap) return text;
  throw new PayloadError(
    "VALUE_TOO_LARGE",
    `The ${what} has ${encodedBytes(text)} bytes encoded, ${cap} are allowed. Store it elsewhere and return a reference, or raise caps.${capName} of createClient.`,
  );
}
