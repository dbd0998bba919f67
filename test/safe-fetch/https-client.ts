import { type ResolvedAddress, safeFetch } from "../../src/safe-fetch/index.js";

/** What became of one request, and which names were looked up for it. */
export interface Outcome {
  readonly status?: number;
  readonly text?: string;
  readonly code?: unknown;
  readonly asked: readonly string[];
}

// A process of its own, since Node reads NODE_EXTRA_CA_CERTS when it starts.
const outcomes: Outcome[] = [];
for (const url of process.argv.slice(2)) outcomes.push(await fetched(url));
console.log(JSON.stringify(outcomes));

async function fetched(url: string): Promise<Outcome> {
  const asked: string[] = [];
  // The first answer leads to this machine, what comes later elsewhere.
  const answers: ResolvedAddress[] = [{ address: "127.0.0.1", family: 4 }];
  const fetch = safeFetch({
    resolve: async (hostname) => {
      asked.push(hostname);
      return [answers.shift() ?? { address: "10.0.0.1", family: 4 }];
    },
    allowAddress: (address) => address.startsWith("127."),
  });
  try {
    const response = await fetch(url, {
      method: "POST",
      body: "hello",
      headers: { authorization: "Bearer secret" },
    });
    return { status: response.status, text: await response.text(), asked };
  } catch (error) {
    return { code: (error as { code?: unknown }).code ?? String(error), asked };
  }
}
