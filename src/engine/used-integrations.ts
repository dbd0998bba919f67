import type { ConnectionAuth } from "../core/integration.js";

/** What an execution has of the integrations of its job, by the key under which the job has them. Most jobs have none. */
export class UsedIntegrations {
  #connections: Map<string, ConnectionAuth> | undefined;
  #instances: Map<string, unknown> | undefined;

  /** What auth resolvers gave. */
  get connections(): Map<string, ConnectionAuth> {
    this.#connections ??= new Map();
    return this.#connections;
  }

  /** One of each, made on first use. */
  get instances(): Map<string, unknown> {
    this.#instances ??= new Map();
    return this.#instances;
  }
}
