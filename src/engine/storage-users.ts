import type { Storage } from "../core/storage.js";

// On globalThis: after a hot reload the earlier client belongs to another copy of this module.
const USERS = Symbol.for("pawl.storage-users");

function usersOf(storage: Storage): Set<object> {
  const host = globalThis as { [USERS]?: WeakMap<Storage, Set<object>> };
  host[USERS] ??= new WeakMap();
  const users = host[USERS].get(storage) ?? new Set();
  host[USERS].set(storage, users);
  return users;
}

/** Several clients of a process may share a storage: one of them that stops must not close it for the others. */
export function useStorage(storage: Storage, client: object): void {
  usersOf(storage).add(client);
}

/** Closes the storage if no other client uses it. */
export async function leaveStorage(storage: Storage, client: object): Promise<void> {
  const users = usersOf(storage);
  users.delete(client);
  if (users.size === 0) await storage.close();
}
