import type { Clock } from "../core/clock.js";
import type {
  CommitResult,
  CreateElement,
  CreateResult,
  RunWrite,
  Storage,
} from "../core/storage.js";
import { storageRefused } from "./execution-errors.js";
import { laterThisTurn, nextTurn } from "./macrotask.js";
import type { Patience, Request } from "./patient-storage.js";

/** Somebody with writes of one run, asked for the next one when a batch is made. */
export interface Writer {
  /** Kept by the queue: true while it is going to ask. */
  isQueued: boolean;
  takeWrite(): RunWrite | undefined;
  written(write: RunWrite, result: CommitResult): void;
  /** The storage is closed: nothing more will be written. */
  abandoned(error: unknown): void;
}

/** A writer that throws takes no neighbour with it. */
function tell(writer: Writer, write: RunWrite, result: CommitResult): void {
  try {
    writer.written(write, result);
  } catch (error) {
    writer.abandoned(error);
  }
}

interface PendingCreate {
  readonly element: CreateElement;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_IN_FLIGHT = 4;
/** Of runs that are all ready at once some are decided about while the storage has the others. */
const MAX_ELEMENTS = 256;
/** Then the rest of the process gets its turn: after so many elements, or after so long in a storage that writes before it returns. */
const MOST_ELEMENTS_PER_TURN = 128;
const LONGEST_TURN_MS = 8;

/**
 * Natural group commit (contract E5): a few batches in flight, what arrives
 * meanwhile goes into the next, and no timer, so a lonely write waits for
 * nothing. A writer has at most one write under way.
 */
export class CommitQueue {
  readonly #storage: Pick<Storage, "commit" | "createRuns">;
  readonly #patience: Patience;
  readonly #clock: Clock;
  readonly #ready: Writer[] = [];
  readonly #creates: PendingCreate[] = [];
  #inFlight = 0;
  #scheduled = false;
  /** Sent since the last turn of the event loop that was waited for. */
  #sentThisTurn = 0;
  #msThisTurn = 0;
  readonly #onTurn = () => this.#flush();
  readonly #onOver = () => this.#over();

  constructor(storage: Pick<Storage, "commit" | "createRuns">, patience: Patience, clock: Clock) {
    this.#clock = clock;
    this.#storage = storage;
    this.#patience = patience;
  }

  /** The writer will be asked for a write in the next batch. */
  enqueue(writer: Writer): void {
    if (writer.isQueued) return;
    writer.isQueued = true;
    this.#ready.push(writer);
    this.#schedule();
  }

  /** For a writer that nobody else is going to join: saves it the wait for the end of all microtasks. */
  sendNow(writer: Writer): void {
    if (this.#scheduled || this.#inFlight > 0 || this.#isTurnOver()) this.enqueue(writer);
    else this.#sendWrites([writer]);
  }

  create(element: CreateElement): Promise<CreateResult> {
    return new Promise((resolve, reject) => {
      this.#creates.push({ element, resolve, reject });
      this.#schedule();
    });
  }

  /** A write that belongs to no execution. Rejects with STORAGE_FAILED if the storage refuses it. */
  submit(write: RunWrite): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      this.enqueue({
        isQueued: false,
        takeWrite: () => write,
        written: ({ runId }, result) => {
          if (result.result === "rejected") reject(storageRefused(runId, result));
          else resolve(result);
        },
        abandoned: reject,
      });
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#isTurnOver()) {
      this.#sentThisTurn = 0;
      this.#msThisTurn = 0;
      nextTurn(this.#onTurn);
    } else {
      laterThisTurn(this.#onTurn);
    }
  }

  #isTurnOver(): boolean {
    return this.#sentThisTurn >= MOST_ELEMENTS_PER_TURN || this.#msThisTurn >= LONGEST_TURN_MS;
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#inFlight >= MAX_IN_FLIGHT) return;
    // Before the writes: a storage may commit a lone write at once, which then would not join these.
    if (this.#creates.length > 0) this.#sendCreates(this.#creates.splice(0, MAX_ELEMENTS));
    if (this.#ready.length > 0) this.#sendWrites(this.#ready.splice(0, MAX_ELEMENTS));
    if (this.#hasMore()) this.#schedule();
  }

  #hasMore(): boolean {
    return this.#ready.length > 0 || this.#creates.length > 0;
  }

  #sendWrites(ready: readonly Writer[]): void {
    const writers: Writer[] = [];
    const writes: RunWrite[] = [];
    for (const writer of ready) {
      writer.isQueued = false;
      const write = writer.takeWrite();
      if (write === undefined) continue;
      writers.push(writer);
      writes.push(write);
    }
    if (writes.length === 0) return;
    this.#sentThisTurn += writes.length;
    this.#send({
      send: () => this.#storage.commit(writes),
      answered: (results) => this.#written(writers, writes, results),
      failed: (error) => {
        for (const writer of writers) writer.abandoned(error);
      },
    });
  }

  /** Repeated until it gets an answer. Whatever happens to one batch, the next one goes. */
  #send<T>(request: Request<T>): void {
    this.#inFlight++;
    const since = this.#clock.monotonic();
    this.#patience.whenAnswered(request, this.#onOver);
    this.#msThisTurn += this.#clock.monotonic() - since;
  }

  #over(): void {
    this.#inFlight--;
    if (this.#hasMore()) this.#schedule();
  }

  #written(
    writers: readonly Writer[],
    writes: readonly RunWrite[],
    results: readonly CommitResult[],
  ): void {
    for (const [index, writer] of writers.entries()) {
      const write = writes[index] as RunWrite;
      const result = results[index];
      if (result === undefined || result.result === "busy") this.#sendAgain(writer, write);
      else tell(writer, write, result);
    }
  }

  /** Nothing was decided: the same write, under the same id, joins the next batch. */
  #sendAgain(writer: Writer, write: RunWrite): void {
    this.enqueue({
      isQueued: false,
      takeWrite: () => write,
      written: (sent, result) => writer.written(sent, result),
      abandoned: (error) => writer.abandoned(error),
    });
  }

  #sendCreates(creates: readonly PendingCreate[]): void {
    this.#sentThisTurn += creates.length;
    const elements = creates.map(({ element }) => element);
    this.#send({
      send: () => this.#storage.createRuns(elements),
      answered: (results) => {
        for (const [index, pending] of creates.entries()) {
          const result = results[index];
          if (result === undefined || result.result === "busy") this.#createAgain(pending);
          else pending.resolve(result);
        }
      },
      failed: (error) => {
        for (const { reject } of creates) reject(error);
      },
    });
  }

  #createAgain(pending: PendingCreate): void {
    this.#creates.push(pending);
    this.#schedule();
  }
}
