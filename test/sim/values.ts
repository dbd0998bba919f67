/** One command's result in an execution. */
export type Result = { readonly key: string; readonly ok: unknown } | Failed;

interface Failed {
  readonly key: string;
  readonly error: string;
}

/** What a task returns: it comes back the same only through a codec that keeps all of it. */
export interface TaskValue {
  readonly path: string;
  readonly attempt: number;
  /** Number of this start of a callback in the whole simulation. */
  readonly start: number;
  readonly at: Date;
  readonly nothing: undefined;
  readonly set: Set<number>;
}

/** A child's end as a parent sees it. */
export interface CallValue {
  readonly ok: boolean;
  readonly runId: string;
  readonly status: string;
  readonly output?: unknown;
}

/** Text that tells any two of the values apart that the simulation uses. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, replacer) ?? "undefined";
}

function replacer(this: unknown, key: string, value: unknown): unknown {
  const raw: unknown = (this as Record<string, unknown>)[key];
  if (raw === undefined) return "<undefined>";
  if (raw instanceof Date) return `<date ${raw.getTime()}>`;
  if (raw instanceof Set) return { set: [...raw] };
  return value;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** User code does what it likes with what it got: nobody else may notice. */
export function spoil(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) Reflect.set(value, key, "spoilt");
}
