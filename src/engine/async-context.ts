import { AsyncLocalStorage } from "node:async_hooks";
import type { Scope } from "./scope.js";

// On globalThis: two copies of the library in one process must see each other's executions.
const CONTEXT = Symbol.for("pawl.async-context");

function context(): AsyncLocalStorage<Scope> {
  const host = globalThis as { [CONTEXT]?: AsyncLocalStorage<Scope> };
  host[CONTEXT] ??= new AsyncLocalStorage<Scope>();
  return host[CONTEXT];
}

const scopes = context();

/** The scope that the calling code runs in: `run` itself or a task's callback. */
export function currentScope(): Scope | undefined {
  return scopes.getStore();
}

export function runInScope<T>(scope: Scope, body: () => T): T {
  return scopes.run(scope, body);
}

/** For work of the engine's that must not inherit a caller's scope. */
export function runOutsideScope<T>(body: () => T): T {
  return scopes.exit(body);
}
