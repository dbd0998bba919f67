import type {
  CommitResult,
  CreateElement,
  CreateResult,
  RunWrite,
  Storage,
} from "../core/storage.js";
import { afterMicrotasks } from "./macrotask.js";

/** Somebody with writes of one run, asked for the next one when a batch is made. */
export interface Writer {
  takeWrite(): RunWrite | undefined;
  written(write: RunWrite, result: CommitResult): void;
  /** The storage is closed: nothing more will be written. */
  abandoned(error: unknown): void;
}

/** The storage as the queue sees it: calls are retried until they get an answer. */
export type PatientStorage = Pick<Storage, "commit" | "createRuns">;

interface PendingCreate {
  readonly element: CreateElement;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_IN_FLIGHT = 2;
const MAX_ELEMENTS = 1_000;

/**
 * Natural group commit (contract E5): a few batches in flight, what arrives
 * meanwhile goes into the next, and no timer, so a lonely write waits for
 * nothing. A writer has at most one write under way.
 */
export class CommitQueue {
  readonly #storage: PatientStorage;
  readonly #ready = new Set<Writer>();
  #creates: PendingCreate[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(storage: PatientStorage) {
    this.#storage = storage;
  }

  /** The writer will be asked for a write in the next batch. */
  enqueue(writer: Writer): void {
    this.#ready.add(writer);
    this.#schedule();
  }

  create(element: CreateElement): Promise<CreateResult> {
    return new Promise((resolve, reject) => {
      this.#creates.push({ element, resolve, reject });
      this.#schedule();
    });
  }

  /** A write that belongs to no execution. */
  submit(write: RunWrite): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      this.enqueue({
        takeWrite: () => write,
        written: (_, result) => resolve(result),
        abandoned: reject,
      });
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    afterMicrotasks(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#inFlight >= MAX_IN_FLIGHT) return;
    const batch = this.#takeBatch();
    const creates = this.#creates.splice(0, MAX_ELEMENTS);
    if (batch.length > 0) this.#track(this.#sendWrites(batch));
    if (creates.length > 0) this.#track(this.#sendCreates(creates));
    if (this.#ready.size > 0 || this.#creates.length > 0) this.#schedule();
  }

  #takeBatch(): { writer: Writer; write: RunWrite }[] {
    const batch: { writer: Writer; write: RunWrite }[] = [];
    for (const writer of this.#ready) {
      if (batch.length === MAX_ELEMENTS) break;
      this.#ready.delete(writer);
      const write = writer.takeWrite();
      if (write !== undefined) batch.push({ writer, write });
    }
    return batch;
  }

  #track(sending: Promise<void>): void {
    this.#inFlight++;
    void sending.then(() => {
      this.#inFlight--;
      if (this.#ready.size > 0 || this.#creates.length > 0) this.#schedule();
    });
  }

  async #sendWrites(batch: readonly { writer: Writer; write: RunWrite }[]): Promise<void> {
    try {
      const results = await this.#storage.commit(batch.map(({ write }) => write));
      batch.forEach(({ writer, write }, index) => {
        const result = results[index];
        if (result === undefined || result.result === "busy") this.#sendAgain(writer, write);
        else writer.written(write, result);
      });
    } catch (error) {
      for (const { writer } of batch) writer.abandoned(error);
    }
  }

  /** Nothing was decided: the same write, under the same id, joins the next batch. */
  #sendAgain(writer: Writer, write: RunWrite): void {
    this.enqueue({
      takeWrite: () => write,
      written: (sent, result) => writer.written(sent, result),
      abandoned: (error) => writer.abandoned(error),
    });
  }

  async #sendCreates(creates: readonly PendingCreate[]): Promise<void> {
    try {
      const results = await this.#storage.createRuns(creates.map(({ element }) => element));
      creates.forEach((pending, index) => {
        const result = results[index];
        if (result === undefined || result.result === "busy") this.#createAgain(pending);
        else pending.resolve(result);
      });
    } catch (error) {
      for (const { reject } of creates) reject(error);
    }
  }

  #createAgain(pending: PendingCreate): void {
    this.#creates.push(pending);
    this.#schedule();
  }
}
