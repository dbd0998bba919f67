import { encodeTime } from "ulid";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** 25 characters of 5 bits: 125 random bits, so that an id cannot be guessed. */
const RANDOM_LENGTH = 25;
/** What ten characters of 5 bits hold, as ULIDs count. */
const LAST_INSTANT = 2 ** 48 - 1;

let pool = new Uint8Array(0);
let used = 0;

function randomText(length: number): string {
  if (used + length > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(RANDOM_LENGTH * 256));
    used = 0;
  }
  let text = "";
  for (let index = 0; index < length; index++) text += ALPHABET[(pool[used + index] ?? 0) & 31];
  used += length;
  return text;
}

/** A run or event id: sorts by creation time, like a ULID with a longer random part. */
export function newId(now: number): string {
  return idAt(now, randomText(RANDOM_LENGTH));
}

/** What is made at one time lies together in a store's indexes: a commit then touches few pages of them. */
export function idAt(instant: number, unique: string): string {
  // An injected clock may give parts of a millisecond, or a year after 10889, which encodeTime refuses.
  return encodeTime(Math.min(Math.max(0, Math.floor(instant)), LAST_INSTANT), 10) + unique;
}

/** Ids of this process's writes, claims and creations: short, unique, cheap. */
export class WriteIds {
  readonly #prefix = randomText(16);
  #count = 0;

  next(): string {
    return `${this.#prefix}${(this.#count++).toString(36)}`;
  }
}

/** A number in [0, 1) for jitter and `io.random`. */
export function randomFraction(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return ((high >>> 5) * 67_108_864 + (low >>> 6)) / 9_007_199_254_740_992;
}
