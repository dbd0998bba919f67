import type { StorageError } from "../../core/errors.js";
import type { Batch } from "./write-queue.js";

interface Settled<R> {
  readonly resolve: (value: R) => void;
  readonly reject: (error: unknown) => void;
}

/** What is done with each element of a call. */
export interface ElementWork<E, R> {
  apply(element: E): R;
  /** The answer for an element that cannot be stored. */
  refused(element: E, cause: unknown): R;
  /** Writes an element without a transaction, if that is possible. */
  applyAlone?(element: E): R | undefined;
}

/** One call with an array of elements, answered by position. */
export class ElementBatch<E, R> implements Batch {
  readonly #elements: readonly E[];
  readonly #work: ElementWork<E, R>;
  readonly #resolve: (results: R[]) => void;
  readonly #reject: (error: unknown) => void;
  readonly #results: R[] = [];

  constructor(
    elements: readonly E[],
    work: ElementWork<E, R>,
    resolve: (results: R[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#elements = elements;
    this.#work = work;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get size(): number {
    return this.#elements.length;
  }

  applyAlone(): boolean {
    const result = this.#work.applyAlone?.(this.#elements[0] as E);
    if (result === undefined) return false;
    this.#results.push(result);
    return true;
  }

  apply(index: number): void {
    this.#results[index] = this.#work.apply(this.#elements[index] as E);
  }

  refuse(index: number, cause: unknown): void {
    this.#results[index] = this.#work.refused(this.#elements[index] as E, cause);
  }

  done(): void {
    this.#resolve(this.#results);
  }

  fail(error: StorageError): void {
    this.#reject(error);
  }
}

/** One call with one answer. */
export class SingleBatch<R> implements Batch {
  readonly size = 1;
  readonly settleByReading?: () => boolean;
  readonly #apply: () => R;
  readonly #settled: Settled<R>;
  #failure: { readonly cause: unknown } | undefined;
  #result: { readonly value: R } | undefined;

  /** `read` answers what needs no writing, or undefined. */
  constructor(apply: () => R, settled: Settled<R>, read?: () => R | undefined) {
    this.#apply = apply;
    this.#settled = settled;
    if (read === undefined) return;
    this.settleByReading = () => {
      const value = read();
      if (value === undefined) return false;
      settled.resolve(value);
      return true;
    };
  }

  apply(): void {
    this.#result = { value: this.#apply() };
  }

  refuse(_index: number, cause: unknown): void {
    this.#failure = { cause };
  }

  done(): void {
    if (this.#failure !== undefined) this.#settled.reject(this.#failure.cause);
    else if (this.#result !== undefined) this.#settled.resolve(this.#result.value);
  }

  fail(error: StorageError): void {
    this.#settled.reject(error);
  }
}
