import type { StorageError } from "../../core/errors.js";
import type { Batch } from "./write-queue.js";

interface Settled<R> {
  readonly resolve: (value: R) => void;
  readonly reject: (error: unknown) => void;
}

/** One call with an array of elements, answered by position. */
export class ElementBatch<E, R> implements Batch {
  readonly #elements: readonly E[];
  readonly #apply: (element: E) => R;
  readonly #refused: (element: E, cause: unknown) => R;
  readonly #applyAlone: ((element: E) => R | undefined) | undefined;
  readonly #settled: Settled<R[]>;
  readonly #results: R[] = [];

  constructor(
    elements: readonly E[],
    apply: (element: E) => R,
    refused: (element: E, cause: unknown) => R,
    settled: Settled<R[]>,
    applyAlone?: (element: E) => R | undefined,
  ) {
    this.#elements = elements;
    this.#apply = apply;
    this.#refused = refused;
    this.#settled = settled;
    this.#applyAlone = applyAlone;
  }

  get size(): number {
    return this.#elements.length;
  }

  applyAlone(): boolean {
    const result = this.#applyAlone?.(this.#elements[0] as E);
    if (result === undefined) return false;
    this.#results[0] = result;
    return true;
  }

  apply(index: number): void {
    this.#results[index] = this.#apply(this.#elements[index] as E);
  }

  refuse(index: number, cause: unknown): void {
    this.#results[index] = this.#refused(this.#elements[index] as E, cause);
  }

  done(): void {
    this.#settled.resolve(this.#results);
  }

  fail(error: StorageError): void {
    this.#settled.reject(error);
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
