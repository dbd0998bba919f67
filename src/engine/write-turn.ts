/**
 * A place among the writes of one execution for a record that is committed past
 * the commit queue, in a transaction of the user's (contract E17). While it lasts
 * the run's other writes wait. Its seq is taken when it is asked for, so that
 * records are committed in the order of their seqs.
 */
export class WriteTurn {
  readonly seq: number;
  readonly #begin: (turn: WriteTurn) => void;
  readonly #counts: () => boolean;
  #state: "open" | "committing" | "over" = "open";

  /** @param counts whether anybody still wants what comes of it */
  constructor(seq: number, begin: (turn: WriteTurn) => void, counts: () => boolean) {
    this.seq = seq;
    this.#begin = begin;
    this.#counts = counts;
  }

  begin(): void {
    this.#begin(this);
  }

  /** Others wait: for a commit in any case, for a callback only if its result is wanted. */
  get holdsBack(): boolean {
    return this.#state === "committing" || (this.#state === "open" && this.#counts());
  }

  /** Nobody is let past any more. False: somebody was, and this must not be committed. */
  commits(): boolean {
    if (!this.holdsBack) return false;
    this.#state = "committing";
    return true;
  }

  /** The commit came to nothing. */
  reopen(): void {
    if (this.#state === "committing") this.#state = "open";
  }

  end(): void {
    this.#state = "over";
  }
}
