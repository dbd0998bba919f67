import { isBusy } from "./failure.js";
import type { LockManners } from "./lock-manners.js";

const LOOK_EVERY_MS = 10;

/** Tells subscribers that another process has written to the file, whatever it was. */
export class Hints {
  readonly #subscribers = new Set<(dueAt?: number) => void>();
  #timer: NodeJS.Timeout | undefined;

  subscribe(onHint: (dueAt?: number) => void, manners: LockManners): () => Promise<void> {
    const subscriber = (dueAt?: number): void => onHint(dueAt);
    this.#subscribers.add(subscriber);
    this.#timer ??= setInterval(() => this.#look(manners), LOOK_EVERY_MS).unref();
    return async () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.stop();
    };
  }

  tell(): void {
    for (const onHint of this.#subscribers) onHint();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(manners: LockManners): void {
    try {
      manners.look();
    } catch (error) {
      // A hint may be lost; a file that cannot be read any more shows in the next call.
      if (!isBusy(error)) this.stop();
    }
  }
}
