import { isBusy } from "./failure.js";

/** Where changes of the file cannot be watched. */
const LOOK_OFTEN_MS = 10;
/** Where they can: a watcher may miss one. */
const LOOK_SELDOM_MS = 100;
/** The log is written first and counts only after its flush: so after a change there are several looks. */
const LOOKS_AFTER_CHANGE = 12;
const LOOK_APART_MS = 2;

interface FileWatcher {
  on(event: "error", listener: () => void): unknown;
  close(): void;
}

interface FileBuiltin {
  watch(path: string, options: { persistent: false }, listener: () => void): FileWatcher;
}

/**
 * Tells subscribers that another process has written to the file, whatever it
 * was. Every commit goes to the write-ahead log, so a change of that is when to
 * look at the data version; own commits change it as well, and are no hint.
 */
export class Hints {
  readonly #path: string;
  readonly #look: () => void;
  readonly #subscribers = new Set<() => void>();
  #watcher: FileWatcher | undefined;
  #interval: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #looksLeft = 0;

  /** `look` calls `tell` if the data version has changed. */
  constructor(path: string, look: () => void) {
    this.#path = path;
    this.#look = look;
  }

  subscribe(onHint: (dueAt?: number) => void): () => Promise<void> {
    const subscriber = (): void => onHint();
    if (this.#subscribers.size === 0) this.#start();
    this.#subscribers.add(subscriber);
    return async () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.stop();
    };
  }

  tell(): void {
    this.#looksLeft = 0;
    for (const onHint of this.#subscribers) onHint();
  }

  stop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearInterval(this.#interval);
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#looksLeft = 0;
  }

  #start(): void {
    if (this.#path === ":memory:") return;
    this.#watcher = this.#watch();
    this.#lookEvery(this.#watcher === undefined ? LOOK_OFTEN_MS : LOOK_SELDOM_MS);
  }

  #watch(): FileWatcher | undefined {
    try {
      const files = process.getBuiltinModule?.("node:fs") as FileBuiltin | undefined;
      const watcher = files?.watch(`${this.#path}-wal`, { persistent: false }, () =>
        this.#changed(),
      );
      watcher?.on("error", () => {
        this.#watcher?.close();
        this.#watcher = undefined;
        this.#lookEvery(LOOK_OFTEN_MS);
      });
      return watcher;
    } catch {
      // No such file system, or the limit of watched files is reached.
      return undefined;
    }
  }

  #lookEvery(intervalMs: number): void {
    clearInterval(this.#interval);
    this.#interval = setInterval(() => this.#lookNow(), intervalMs);
    this.#interval.unref();
  }

  #changed(): void {
    this.#looksLeft = LOOKS_AFTER_CHANGE;
    if (this.#soon === undefined) this.#lookSoon();
  }

  #lookSoon(): void {
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#looksLeft--;
      this.#lookNow();
      if (this.#looksLeft > 0) this.#lookSoon();
    }, LOOK_APART_MS);
    this.#soon.unref();
  }

  #lookNow(): void {
    try {
      this.#look();
    } catch (error) {
      // A hint may be lost; a file that cannot be read any more shows in the next call.
      if (!isBusy(error)) this.stop();
    }
  }
}
