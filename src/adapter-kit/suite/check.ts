/** Test frameworks print the difference of `actual` and `expected`. */
class CheckError extends Error {
  readonly actual: unknown;
  readonly expected: unknown;
  readonly showDiff = true;

  constructor(message: string, actual: unknown, expected: unknown) {
    super(message);
    this.name = "CheckError";
    this.actual = actual;
    this.expected = expected;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Deep equality of plain data. A property that is undefined is the same as none. */
function isSame(actual: unknown, expected: unknown): boolean {
  if (Object.is(actual, expected)) return true;
  if (!isObject(actual) || !isObject(expected)) return false;
  if (Array.isArray(actual) !== Array.isArray(expected)) return false;
  if (Array.isArray(actual) && actual.length !== expected.length) return false;
  const names = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  return [...names].every((name) => isSame(actual[name], expected[name]));
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

export function same(actual: unknown, expected: unknown, what = "value"): void {
  if (isSame(actual, expected)) return;
  throw new CheckError(
    `${what}: expected ${shown(expected)}, got ${shown(actual)}`,
    actual,
    expected,
  );
}

/** The properties that are named in `expected` are the same. */
export function has<T>(actual: T | undefined, expected: Partial<T>, what = "object"): void {
  if (!isObject(actual)) throw new CheckError(`${what}: there is none`, actual, expected);
  const named = Object.fromEntries(Object.keys(expected).map((name) => [name, actual[name]]));
  same(named, expected, what);
}

export function that(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new CheckError(`not true: ${claim}`, condition, true);
}

export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null)
    throw new CheckError(`${what} is missing`, value, what);
  return value;
}

/** In any order. */
export function sameSet(
  actual: readonly string[],
  expected: readonly string[],
  what = "set",
): void {
  same([...actual].sort(), [...expected].sort(), what);
}

export async function rejects(work: () => Promise<unknown>, code: string): Promise<void> {
  const outcome = await work().then(
    () => "no error",
    (error: unknown) => (isObject(error) ? error.code : error),
  );
  same(outcome, code, "error code");
}
