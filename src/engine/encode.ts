import { encodedBytes } from "../core/codec.js";
import { PayloadError } from "../core/errors.js";
import type { Engine } from "./engine.js";

/** Text of a user's value. Throws VALUE_NOT_SERIALIZABLE or VALUE_TOO_LARGE before anything is recorded. */
export function encodeValue(
  engine: Engine,
  value: unknown,
  what: string,
): string | Promise<string> {
  const text = engine.codec.encode(value, what);
  return typeof text === "string"
    ? withinCap(engine, text, what)
    : text.then((done) => withinCap(engine, done, what));
}

function withinCap(engine: Engine, text: string, what: string): string {
  const cap = engine.caps.taskOutputBytes;
  // UTF-8 has at most three bytes for each UTF-16 unit: the exact count is only taken near the cap.
  if (text.length * 3 <= cap || encodedBytes(text) <= cap) return text;
  throw new PayloadError(
    "VALUE_TOO_LARGE",
    `The ${what} has ${encodedBytes(text)} bytes encoded, ${cap} are allowed. Store it elsewhere and return a reference, or raise caps.taskOutputBytes of createClient.`,
  );
}
