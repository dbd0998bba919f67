import { afterMicrotasks, laterThisTurn } from "./macrotask.js";

interface Candidate {
  readonly seq: number;
  settle(): void | Promise<void>;
}

/**
 * Settles the operations of one execution in the order of their final records,
 * one at a time, with all microtasks drained in between (contract E4). First
 * execution, continuation from memory and replay all go through here, which is
 * why a `Promise.race` takes the same branch in each of them.
 */
export class Settlement {
  /** Binary heap by seq. */
  readonly #heap: Candidate[] = [];
  readonly #onQuiet: () => void;
  readonly #hasOthers: () => boolean;
  readonly #onTurn = () => this.#settleNext();
  #draining = false;
  #stopped = false;

  /** @param hasOthers whether operations are open that could settle next */
  constructor(onQuiet: () => void, hasOthers: () => boolean) {
    this.#onQuiet = onQuiet;
    this.#hasOthers = hasOthers;
  }

  get isQuiet(): boolean {
    return !this.#draining && this.#heap.length === 0;
  }

  /** A result from memory: others with a lower seq may still be called in this turn. */
  addRecorded(candidate: Candidate): void {
    this.#push(candidate);
    if (!this.#draining) this.#drain();
  }

  /** A result just committed: user code has been quiet since it was sent, so it may settle at once. */
  addLive(candidate: Candidate): void {
    if (this.#draining) this.#push(candidate);
    else this.#settle(candidate);
  }

  /**
   * The same, committed in the turn that asked for it: the answer may come between
   * two steps of a promise chain of the user's. In a replay that chain goes first,
   * so it does here.
   */
  addInTurn(candidate: Candidate): void {
    this.#push(candidate);
    if (this.#draining) return;
    this.#draining = true;
    laterThisTurn(this.#onTurn);
  }

  /** Holds settlements back until the microtasks of now are through. */
  begin(): void {
    if (!this.#draining) this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    this.#heap.length = 0;
  }

  #drain(): void {
    this.#draining = true;
    afterMicrotasks(this.#onTurn);
  }

  #settleNext(): void {
    if (this.#stopped) return;
    const next = this.#pop();
    if (next === undefined) {
      this.#draining = false;
      this.#onQuiet();
      return;
    }
    this.#settle(next);
  }

  #settle(candidate: Candidate): void {
    if (this.#stopped) return;
    this.#draining = true;
    const decoding = candidate.settle();
    if (decoding === undefined) this.#settled();
    else decoding.then(() => this.#settled());
  }

  /** Where calls come one after the other, only what follows from this one can settle next: nothing has to wait. */
  #settled(): void {
    if (this.#heap.length > 0 || this.#hasOthers()) this.#drain();
    else this.#draining = false;
  }

  #push(candidate: Candidate): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(candidate);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || parent.seq <= candidate.seq) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = candidate;
  }

  #pop(): Candidate | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      const left = heap[childIndex];
      if (left === undefined) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && right.seq < left.seq) childIndex++;
      const child = heap[childIndex];
      if (child === undefined || child.seq >= last.seq) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
    return top;
  }
}
