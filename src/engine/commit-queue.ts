import type {
  CommitResult,
  CreateElement,
  CreateResult,
  RunWrite,
  Storage,
} from "../core/storage.js";
import { laterThisTurn, nextTurn } from "./macrotask.js";
import type { Patience } from "./patient-storage.js";

/** Somebody with writes of one run, asked for the next one when a batch is made. */
export interface Writer {
  takeWrite(): RunWrite | undefined;
  written(write: RunWrite, result: CommitResult): void;
  /** The storage is closed: nothing more will be written. */
  abandoned(error: unknown): void;
}

interface PendingCreate {
  readonly element: CreateElement;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_IN_FLIGHT = 2;
const MAX_ELEMENTS = 1_000;
/** Then the rest of the process gets its turn. */
const MOST_ELEMENTS_PER_TURN = 16;

/**
 * Natural group commit (contract E5): a few batches in flight, what arrives
 * meanwhile goes into the next, and no timer, so a lonely write waits for
 * nothing. A writer has at most one write under way.
 */
export class CommitQueue {
  readonly #storage: Pick<Storage, "commit" | "createRuns">;
  readonly #patience: Patience;
  readonly #ready = new Set<Writer>();
  #creates: PendingCreate[] = [];
  #inFlight = 0;
  #scheduled = false;
  /** Sent since the last turn of the event loop that was waited for. */
  #sentThisTurn = 0;
  readonly #onTurn = () => this.#flush();

  constructor(storage: Pick<Storage, "commit" | "createRuns">, patience: Patience) {
    this.#storage = storage;
    this.#patience = patience;
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
    if (this.#sentThisTurn < MOST_ELEMENTS_PER_TURN) {
      laterThisTurn(this.#onTurn);
    } else {
      this.#sentThisTurn = 0;
      nextTurn(this.#onTurn);
    }
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#inFlight >= MAX_IN_FLIGHT) return;
    this.#sendWrites();
    if (this.#creates.length > 0) this.#sendCreates(this.#takeCreates());
    if (this.#hasMore) this.#schedule();
  }

  get #hasMore(): boolean {
    return this.#ready.size > 0 || this.#creates.length > 0;
  }

  #takeCreates(): readonly PendingCreate[] {
    if (this.#creates.length > MAX_ELEMENTS) return this.#creates.splice(0, MAX_ELEMENTS);
    const creates = this.#creates;
    this.#creates = [];
    return creates;
  }

  #sendWrites(): void {
    const writers: Writer[] = [];
    const writes: RunWrite[] = [];
    for (const writer of this.#ready) {
      if (writes.length === MAX_ELEMENTS) break;
      this.#ready.delete(writer);
      const write = writer.takeWrite();
      if (write === undefined) continue;
      writers.push(writer);
      writes.push(write);
    }
    if (writes.length === 0) return;
    this.#sentThisTurn += writes.length;
    this.#track(
      () => this.#storage.commit(writes),
      (results) => this.#written(writers, writes, results),
      (error) => {
        for (const writer of writers) writer.abandoned(error);
      },
    );
  }

  /** Calls are repeated until they get an answer. Whatever happens to one batch, the next one goes. */
  #track<T>(
    call: () => Promise<T>,
    done: (answer: T) => void,
    failed: (error: unknown) => void,
  ): void {
    this.#inFlight++;
    const over = () => {
      this.#inFlight--;
      if (this.#hasMore) this.#schedule();
    };
    this.#patience.whenAnswered(
      call,
      (value) => {
        try {
          done(value);
        } catch (error) {
          failed(error);
        }
        over();
      },
      (error) => {
        failed(error);
        over();
      },
    );
  }

  #written(
    writers: readonly Writer[],
    writes: readonly RunWrite[],
    results: readonly CommitResult[],
  ): void {
    writers.forEach((writer, index) => {
      const write = writes[index] as RunWrite;
      const result = results[index];
      if (result === undefined || result.result === "busy") this.#sendAgain(writer, write);
      else writer.written(write, result);
    });
  }

  /** Nothing was decided: the same write, under the same id, joins the next batch. */
  #sendAgain(writer: Writer, write: RunWrite): void {
    this.enqueue({
      takeWrite: () => write,
      written: (sent, result) => writer.written(sent, result),
      abandoned: (error) => writer.abandoned(error),
    });
  }

  #sendCreates(creates: readonly PendingCreate[]): void {
    this.#sentThisTurn += creates.length;
    const elements = creates.map(({ element }) => element);
    this.#track(
      () => this.#storage.createRuns(elements),
      (results) => {
        creates.forEach((pending, index) => {
          const result = results[index];
          if (result === undefined || result.result === "busy") this.#createAgain(pending);
          else pending.resolve(result);
        });
      },
      (error) => {
        for (const { reject } of creates) reject(error);
      },
    );
  }

  #createAgain(pending: PendingCreate): void {
    this.#creates.push(pending);
    this.#schedule();
  }
}
