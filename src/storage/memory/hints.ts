export type HintListener = (dueAt?: number) => void;

/** Tells listeners when runs become due: once for all that happens in one turn, with the earliest instant. */
export class Hints {
  readonly #listeners = new Set<HintListener>();
  #earliest: number | undefined;

  add(listener: HintListener): () => void {
    // A listener may be given twice; each subscription ends for itself.
    const own: HintListener = (dueAt) => listener(dueAt);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  send(dueAt: number): void {
    if (this.#listeners.size === 0) return;
    if (this.#earliest === undefined) queueMicrotask(() => this.#deliver());
    this.#earliest = Math.min(dueAt, this.#earliest ?? dueAt);
  }

  #deliver(): void {
    const dueAt = this.#earliest;
    this.#earliest = undefined;
    for (const listener of this.#listeners) listener(dueAt);
  }
}
