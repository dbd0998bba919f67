import { present, same } from "./check.js";

/** Far more often than any store says "busy" to a test. */
const busyLimit = 10_000;

/** Sends elements, and those again for which the store was busy. Answers by position. */
export async function resend<E, R extends { readonly result: string }>(
  elements: readonly E[],
  send: (elements: readonly E[]) => Promise<R[]>,
): Promise<R[]> {
  const results = [...(await send(elements))];
  same(results.length, elements.length, "number of answers");
  for (let round = 0; round < busyLimit; round += 1) {
    const busy = results.flatMap(({ result }, index) => (result === "busy" ? [index] : []));
    if (busy.length === 0) return results;
    const answers = await send(busy.flatMap((index) => elements[index] ?? []));
    busy.forEach((index, at) => {
      results[index] = present(answers[at], "answer");
    });
  }
  throw new Error("The store stays busy.");
}
