/** Whatever a run holds, as JSON: errors by name, message and code; maps and sets as arrays. */
export function toJson(value: unknown): string {
  return JSON.stringify(plain(value, new Set()), null, 2) ?? "null";
}

function plain(value: unknown, around: Set<object>): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return value;
  if (around.has(value)) return "[circular]";
  around.add(value);
  const copy = plainObject(value, around);
  around.delete(value);
  return copy;
}

function plainObject(value: object, around: Set<object>): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL) return value.href;
  if (value instanceof Error) return plainError(value, around);
  if (ArrayBuffer.isView(value)) return plain(elementsOf(value), around);
  if (isIterable(value)) return Array.from(value, (item) => plain(item, around));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, plain(inner, around)]),
  );
}

function plainError(error: Error, around: Set<object>): object {
  const { name, message, cause } = error;
  const code: unknown = Reflect.get(error, "code");
  return {
    name,
    message,
    ...(code === undefined ? undefined : { code: plain(code, around) }),
    ...(cause === undefined ? undefined : { cause: plain(cause, around) }),
  };
}

function elementsOf(view: ArrayBufferView): unknown[] {
  return Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

function isIterable(value: object): value is Iterable<unknown> {
  return Array.isArray(value) || value instanceof Map || value instanceof Set;
}
