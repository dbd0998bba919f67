/** Claims of so many in a row take what is due without a look at everything else. What they pass over must not wait long. */
const MOST_IN_A_ROW = 7;

/** When a claim may take what is due at once: because there is certainly something. */
export class ClaimsAtOnce {
  #hasNews = false;
  /** Of workers: how many more before the next look. Not known of one that looked and left nothing. */
  readonly #left = new Map<string, number>();

  /** Another process says that something has become due. */
  heardNews(): void {
    this.#hasNews = true;
  }

  mayTake(workerId: string): boolean {
    const left = this.#left.get(workerId);
    if (left !== undefined) return left > 0;
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    return hasNews;
  }

  /** @param isCutOff it got as many as it asked for, and left more behind */
  took(workerId: string, isCutOff: boolean): void {
    const left = this.#left.get(workerId) ?? 1;
    this.#left.set(workerId, isCutOff ? left - 1 : 0);
  }

  looked(workerId: string, isCutOff: boolean): void {
    if (isCutOff) this.#left.set(workerId, MOST_IN_A_ROW);
    else this.#left.delete(workerId);
  }
}
