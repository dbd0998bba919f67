import { Overtaken } from "./context.js";
import { isRefusal, reasonOf, sqlState } from "./failure.js";

/** Tries of a batch that others keep overtaking. */
const MOST_TRIES = 20;

/**
 * Elements are independent (contract S1). They travel together; if the server
 * refuses something in one of them they go one by one, and the one at fault is
 * answered as rejected.
 */
export async function isolated<E, R>(
  elements: readonly E[],
  apply: (some: readonly E[]) => Promise<R[]>,
  rejected: (reason: string, cause: unknown) => R,
): Promise<R[]> {
  if (elements.length === 0) return [];
  try {
    return await undisturbed(() => apply(elements));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (elements.length === 1) return [rejected(reasonOf(error), error)];
  }
  const results: R[] = [];
  for (const element of elements) results.push(...(await isolated([element], apply, rejected)));
  return results;
}

async function undisturbed<T>(apply: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await apply();
    } catch (error) {
      if (!mayGoOn(error) || tries === MOST_TRIES) throw error;
    }
  }
}

/** Somebody was faster, or two waited for each other: deciding anew helps. */
function mayGoOn(error: unknown): boolean {
  return error instanceof Overtaken || ["40001", "40P01", "23505"].includes(sqlState(error));
}
