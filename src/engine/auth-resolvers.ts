import type { AuthResolver } from "../core/auth.js";
import { ConfigError } from "../core/errors.js";
import type { Integration } from "../core/integration.js";
import type { AnyJob } from "../core/job.js";
import { assertText } from "../core/key.js";
import { assertFunction, describe } from "../core/options.js";

/** The resolvers of one client, by the id of the integration. */
export class AuthResolvers {
  readonly #resolvers = new Map<string, AuthResolver>();

  define(integration: Integration | string, resolver: AuthResolver): void {
    const id = integrationId(integration, "defineAuthResolver");
    assertFunction(resolver, `the auth resolver of integration "${id}"`);
    if (this.#resolvers.has(id)) {
      throw new ConfigError(
        "AUTH_RESOLVER_DUPLICATE",
        `This client has an auth resolver for integration "${id}" already. Define one for each integration, which tells accounts apart by its context; if a module is evaluated again by hot reload, use createClient({ id, reload: true }).`,
        { details: { integrationId: id } },
      );
    }
    this.#resolvers.set(id, resolver);
  }

  get(integrationId: string): AuthResolver | undefined {
    return this.#resolvers.get(integrationId);
  }

  /** Whether its runs start with a look for credentials. */
  areNeeded({ options }: AnyJob): boolean {
    return Object.values(options.integrations ?? {}).some(
      ({ id, authSource }) => authSource === "HOSTED" || this.#resolvers.has(id),
    );
  }
}

export function integrationId(integration: Integration | string, where: string): string {
  const id: unknown = typeof integration === "string" ? integration : integration?.id;
  if (typeof id !== "string") {
    throw new ConfigError(
      "OPTION_INVALID",
      `${where} takes an integration or its id, got ${describe(integration)}.`,
    );
  }
  assertText(id, `integration of ${where}`);
  return id;
}
