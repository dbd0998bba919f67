import type { Storage } from "./core/storage.js";
import { Client } from "./engine/client.js";
import { type ClientOptions, checkClientOptions } from "./engine/client-options.js";
import { memory } from "./storage/memory/index.js";

/**
 * A client on a storage. No I/O happens and no timer starts before its first
 * call.
 *
 * @example
 * const client = createClient({ id: "shop", storage: sqlite("shop.db"), jobs: [welcome] });
 * await client.start();
 * @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID, JOB_DUPLICATE; StorageError STORAGE_INVALID
 */
export function createClient<Tx = unknown>(options: ClientOptions<Tx> = {}): Client<Tx> {
  checkClientOptions(options);
  // Memory has no transactions, so their type is nobody's concern.
  const { storage = memory() as Storage<Tx> } = options;
  return new Client<Tx>(options, storage);
}
