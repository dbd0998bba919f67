import { setTimeout as pause } from "node:timers/promises";

const PATIENCE_MS = 30_000;

/** Looks until it is so, for what takes real time; the limit is a guard against hanging, not a measure. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > until) throw new Error("The condition never came true.");
    await pause(2);
  }
}
