import { taskIdempotencyKey } from "../core/derived-id.js";
import type { Task } from "../core/io.js";
import type { Key } from "../core/key.js";
import type { DisplayProperty } from "../core/run.js";
import { Cancellation } from "./cancellation.js";
import type { Op } from "./op.js";

/** What a callback knows about its task in one attempt. What is costly is made on first use. */
export class TaskHandle implements Task {
  readonly key: string;
  readonly attempt: number;
  outputProperties: readonly DisplayProperty[] | undefined;
  readonly #op: Op;
  #cancellation: Cancellation | undefined;
  #signal: AbortSignal | undefined;
  #idempotencyKey: string | undefined;

  constructor(op: Op, key: Key, attempt: number) {
    this.#op = op;
    this.key = typeof key === "string" ? key : JSON.stringify(key);
    this.attempt = attempt;
  }

  get id(): string {
    return `${this.#op.runId}/${this.#op.path}`;
  }

  get idempotencyKey(): string {
    this.#idempotencyKey ??= taskIdempotencyKey(this.#op.runId, this.#op.path);
    return this.#idempotencyKey;
  }

  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any([
      this.#abandoned.signal,
      this.#op.scope.execution.cancellation.signal,
    ]);
    return this.#signal;
  }

  /** The attempt is over for the engine: a well-behaved callback stops. */
  abort(reason: unknown): void {
    this.#abandoned.fire(() => reason);
  }

  get #abandoned(): Cancellation {
    this.#cancellation ??= new Cancellation();
    return this.#cancellation;
  }
}
