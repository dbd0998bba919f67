import { encodedBytes } from "../core/codec.js";
import { ConfigError, PayloadError } from "../core/errors.js";
import { describe } from "../core/options.js";
import { whenAtHand } from "./at-hand.js";
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
  if (typeof text === "string") return withinCap(engine, text, what, capName);
  return whenAtHand(text, (done) => withinCap(engine, checked(done, what), what, capName));
}

function checked(text: unknown, what: string): string {
  if (typeof text === "string") return text;
  throw new ConfigError(
    "OPTION_INVALID",
    `codec.encode of createClient gave ${describe(text)} for the ${what}. It must give a string, or a promise of one.`,
  );
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
