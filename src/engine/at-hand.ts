import { isThenable } from "./thenable.js";

/** Goes on in this very turn with what is at hand, and otherwise when it has come. */
export function whenAtHand<T, R>(
  value: T | Promise<T>,
  next: (value: T) => R | Promise<R>,
): R | Promise<R> {
  // A codec's promise may be of another realm.
  return isThenable(value) ? Promise.resolve(value as Promise<T>).then(next) : next(value as T);
}
