import { PendingWrite } from "./pending-write.js";
import { WriteTurn } from "./write-turn.js";

/**
 * Complete writes of one execution that go each by itself, and turns of those
 * who write past the queue, in the order of their seqs.
 */
export class WriteLine {
  #line: (PendingWrite | WriteTurn)[] = [];
  #turn: WriteTurn | undefined;
  /** Who waits for an extension of the lease, which is all that is written during a turn. */
  readonly extension: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  /** Somebody writes past the queue, and whatever else is decided waits. */
  get isHeld(): boolean {
    return this.#turn?.holdsBack === true;
  }

  add(next: PendingWrite | WriteTurn): void {
    this.#line.push(next);
  }

  with(seq: number): PendingWrite | undefined {
    return this.#line.length === 0 ? undefined : this.#writes().find((write) => write.has(seq));
  }

  /** The next write, unless that is a turn: it begins then, and may be over at once. */
  take(): PendingWrite | undefined {
    while (!this.isHeld) {
      const next = this.#line.shift();
      if (!(next instanceof WriteTurn)) return next;
      this.#turn = next;
      next.begin();
    }
    return undefined;
  }

  leave(turn: WriteTurn): void {
    turn.end();
    if (this.#turn === turn) this.#turn = undefined;
  }

  /** Nobody is left to wait for an answer. */
  ends(): void {
    for (const write of this.#writes()) write.answer("over");
    this.#line = [];
  }

  #writes(): PendingWrite[] {
    return this.#line.filter((each) => each instanceof PendingWrite);
  }
}
