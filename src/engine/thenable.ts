/** A codec may answer a promise that is not this realm's `Promise`: one of a `vm` context, as in Jest, or of a library. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
