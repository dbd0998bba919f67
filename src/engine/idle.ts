import type { Clock } from "../core/clock.js";

/** Waits for the moment at which nothing is under way. Whoever ends something calls `wake`. */
export class Idle {
  readonly #isBusy: () => boolean;
  #waiting: (() => void)[] = [];

  constructor(isBusy: () => boolean) {
    this.#isBusy = isBusy;
  }

  wake(): void {
    if (this.#isBusy()) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  reached(): Promise<void> {
    if (!this.#isBusy()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async reachedWithin(clock: Clock, timeoutMs: number): Promise<void> {
    let disarm: (() => void) | undefined;
    const timeout = new Promise<void>((resolve) => {
      disarm = clock.setTimer(timeoutMs, resolve);
    });
    await Promise.race([this.reached(), timeout]);
    disarm?.();
  }
}
