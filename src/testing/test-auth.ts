import type { AuthResolver, NotConnected, ResolvedAuth } from "../core/auth.js";
import { ConfigError } from "../core/errors.js";
import type { AnyJob } from "../core/job.js";
import { describe } from "../core/options.js";
import type { Client } from "../engine/client.js";

/** By id of the integration: an auth resolver, or what it gives each time. */
export type TestAuth = Readonly<Record<string, AuthResolver | ResolvedAuth | NotConnected>>;

/** @throws ConfigError OPTION_INVALID */
export function assertAuth(auth: TestAuth, jobs: readonly AnyJob[]): void {
  if (typeof auth !== "object" || auth === null)
    throw invalid(`is ${describe(auth)}. Pass an object with the ids of integrations.`);
  const ids = new Set(
    jobs.flatMap(({ options }) => Object.values(options.integrations ?? {}).map(({ id }) => id)),
  );
  for (const [id, given] of Object.entries(auth)) {
    if (!ids.has(id))
      throw invalid(
        `names integration "${id}", which no job of the test has. Their integrations: ${[...ids].join(", ") || "none"}.`,
      );
    if (typeof given !== "function" && (typeof given !== "object" || given === null))
      throw invalid(
        `gives ${describe(given)} for integration "${id}". Pass { type: "apiKey" | "oauth2", accessToken }, notConnected, or an auth resolver.`,
      );
  }
}

function invalid(problem: string): ConfigError {
  return new ConfigError("OPTION_INVALID", `auth of testJob ${problem}`);
}

/** As the app would have defined the resolvers, in each process anew. */
export function defineAuth(client: Client, auth: TestAuth): void {
  for (const [id, given] of Object.entries(auth))
    client.defineAuthResolver(id, typeof given === "function" ? given : () => given);
}
