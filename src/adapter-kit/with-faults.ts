import { StorageError } from "../core/errors.js";
import type { Storage } from "../core/storage.js";

type Method<T> = T extends (...args: never[]) => Promise<unknown> ? T : never;

/** Every method of a storage, by name. */
export type StorageMethod = {
  [K in keyof Storage]-?: Method<Storage[K]> extends never ? never : K;
}[keyof Storage];

/**
 * - `error-once`: the call is refused and changes nothing; the next one works.
 * - `error-forever`: so is every later call of that method.
 * - `lost-answer`: the call takes effect, and its answer is an error.
 * - `crash-before`: the process dies before the call takes effect. For the
 *   caller that means: neither this call nor any later one is ever answered.
 * - `crash-after`: the same, but the call has taken effect.
 */
export type FaultKind =
  | "error-once"
  | "error-forever"
  | "lost-answer"
  | "crash-before"
  | "crash-after";

export interface Fault {
  readonly method: StorageMethod;
  /** The n-th call of that method, from 1. */
  readonly call: number;
  readonly kind: FaultKind;
}

type Call = (...args: unknown[]) => Promise<unknown>;

/**
 * The same storage, failing as planned. After a crash, open another instance
 * on the same data, as the next process would.
 */
export function withFaults(
  storage: Storage,
  plan: readonly Fault[],
  onCrash?: () => void,
): Storage {
  const faults = new Faults(plan, onCrash);
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        faults.call(String(name), () => Reflect.apply(member as Call, target, args));
    },
  });
}

class Faults {
  readonly #plan: readonly Fault[];
  readonly #onCrash: (() => void) | undefined;
  readonly #calls = new Map<string, number>();
  #crashed = false;

  constructor(plan: readonly Fault[], onCrash: (() => void) | undefined) {
    this.#plan = plan;
    this.#onCrash = onCrash;
  }

  async call(method: string, run: () => Promise<unknown>): Promise<unknown> {
    if (this.#crashed) return silence();
    const call = (this.#calls.get(method) ?? 0) + 1;
    this.#calls.set(method, call);
    const fault = this.#plan.find((each) => each.method === method && isMet(each, call));
    if (fault === undefined) return run();
    if (fault.kind === "crash-before") return this.#crash();
    if (fault.kind.startsWith("error")) throw failure(method, call, "not applied");
    await run();
    if (fault.kind === "crash-after") return this.#crash();
    throw failure(method, call, "applied, answer lost");
  }

  #crash(): Promise<never> {
    this.#crashed = true;
    this.#onCrash?.();
    return silence();
  }
}

function isMet(fault: Fault, call: number): boolean {
  return fault.kind === "error-forever" ? call >= fault.call : call === fault.call;
}

function silence(): Promise<never> {
  return new Promise(() => {});
}

function failure(method: string, call: number, what: string): StorageError {
  return new StorageError("STORAGE_FAILED", `Injected fault: call ${call} of ${method}, ${what}.`);
}
