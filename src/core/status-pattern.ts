const exact = /^[1-9]\d\d$/;
const range = /^([1-9]\d\d)\s*-\s*([1-9]\d\d)$/;
const wildcard = /^[1-9](?:xx|\dx)$/i;

/**
 * A pattern of statuses as a test: `"429"`, `"500-599"`, `"4xx"`, `"50x"`, and several of them with
 * commas between. `"all"` is every status that is no success (2xx). `undefined` if the text is no
 * pattern.
 */
export function compileStatusPattern(pattern: string): ((status: number) => boolean) | undefined {
  const tests: ((status: number) => boolean)[] = [];
  for (const part of pattern.split(",")) {
    const test = testOf(part.trim());
    if (test === undefined) return undefined;
    tests.push(test);
  }
  return (status) => tests.some((test) => test(status));
}

function testOf(part: string): ((status: number) => boolean) | undefined {
  if (part === "all") return (status) => !isSuccess(status);
  if (exact.test(part)) return (status) => status === Number(part);
  if (wildcard.test(part)) {
    const digits = part.toLowerCase().replaceAll("x", "");
    return (status) => String(status).startsWith(digits);
  }
  const bounds = range.exec(part)?.slice(1).map(Number);
  if (bounds === undefined) return undefined;
  const [from = 0, to = 0] = bounds;
  return from > to ? undefined : (status) => status >= from && status <= to;
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}
