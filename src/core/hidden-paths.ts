const REDACTED = "[redacted]";

/** A copy in which nobody can read what the dotted paths name. */
export function withoutPaths<T>(value: T, paths: readonly string[]): T {
  return paths.reduce<unknown>((copy, path) => withoutPath(copy, path.split(".")), value) as T;
}

function withoutPath(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return REDACTED;
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return value;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value)
    ? [...value]
    : { ...value };
  const inner = withoutPath(Reflect.get(value, key), rest);
  Object.defineProperty(copy, key, {
    value: inner,
    enumerable: true,
    writable: true,
    configurable: true,
  });
  return copy;
}
