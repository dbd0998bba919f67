import { isBusy } from "./failure.js";

/** Where changes of the file cannot be watched. */
const LOOK_OFTEN_MS = 10;
/** Where they can: a watcher may miss one. */
const LOOK_SELDOM_MS = 100;
/** The log is written first and counts only after its flush: so after a change there are several looks. */
const LOOKS_AFTER_CHANGE = 12;
const LOOK_APART_MS = 2;
/** While this process writes: a look costs as much as a tenth of a small commit. */
const LOOK_WHILE_WRITING_MS = 10;

interface FileWatcher {
  on(event: "error", listener: () => void): unknown;
  close(): void;
}

interface FileBuiltin {
  watch(path: string, options: { persistent: false }, listener: () => void): FileWatcher;
}

/** What hints need to know of the connection. */
interface Looker {
  /** Calls `tell` if the data version has changed. */
  look(): void;
  /** How often it has looked, for whatever reason. */
  readonly looks: number;
  /** How often this process has written. */
  readonly writes: number;
}

/**
 * Tells subscribers that another process has written to the file, whatever it
 * was. Every commit goes to the write-ahead log, so a change of that is when to
 * begin to look at the data version. Own commits change it as well and are no
 * hint, and an event for each would cost as much as a tenth of the commit: so
 * the log is only watched while nothing goes on, and looked at from time to time
 * until that is so again.
 */
export class Hints {
  readonly #path: string;
  readonly #looker: Looker;
  readonly #subscribers = new Set<() => void>();
  #watcher: FileWatcher | undefined;
  #interval: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #looksLeft = 0;
  #looksBefore = 0;
  #writesBefore = 0;

  constructor(path: string, looker: Looker) {
    this.#path = path;
    this.#looker = looker;
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
    for (const onHint of this.#subscribers) onHint();
  }

  stop(): void {
    this.#unwatch();
    clearInterval(this.#interval);
    this.#interval = undefined;
    clearTimeout(this.#soon);
  }

  #start(): void {
    if (this.#path === ":memory:") return;
    this.#watch();
    this.#lookEvery(this.#watcher === undefined ? LOOK_OFTEN_MS : LOOK_SELDOM_MS);
  }

  #watch(): void {
    // Who is told in a look may end its subscription and begin another one, which watches already.
    this.#unwatch();
    try {
      const files = process.getBuiltinModule?.("node:fs") as FileBuiltin | undefined;
      this.#watcher = files?.watch(`${this.#path}-wal`, { persistent: false }, () =>
        this.#changed(),
      );
      this.#watcher?.on("error", () => this.#cannotWatch());
    } catch {
      // No such file system, or the limit of watched files is reached.
      this.#cannotWatch();
    }
  }

  #cannotWatch(): void {
    this.#unwatch();
    this.#lookEvery(LOOK_OFTEN_MS);
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #lookEvery(intervalMs: number): void {
    clearInterval(this.#interval);
    this.#interval = setInterval(() => this.#lookNow(), intervalMs);
    this.#interval.unref();
  }

  #changed(): void {
    // An event that was under way when the watcher was closed.
    if (this.#watcher === undefined) return;
    this.#unwatch();
    this.#looksLeft = LOOKS_AFTER_CHANGE;
    this.#lookSoon();
  }

  #lookSoon(delayMs = LOOK_APART_MS): void {
    this.#soon = setTimeout(() => this.#tick(), delayMs);
    this.#soon.unref();
  }

  #tick(): void {
    const isWriting = this.#looker.writes !== this.#writesBefore;
    this.#writesBefore = this.#looker.writes;
    if (this.#looker.looks === this.#looksBefore && !this.#lookNow()) return;
    this.#looksBefore = this.#looker.looks;
    this.#looksLeft = isWriting ? LOOKS_AFTER_CHANGE : this.#looksLeft - 1;
    if (this.#looksLeft > 0) {
      this.#lookSoon(isWriting ? LOOK_WHILE_WRITING_MS : LOOK_APART_MS);
      return;
    }
    this.#watch();
    // For what was written while nobody watched.
    this.#lookNow();
  }

  /** False if that was the last look. */
  #lookNow(): boolean {
    try {
      this.#looker.look();
    } catch (error) {
      // A hint may be lost; a file that cannot be read any more shows in the next call.
      if (!isBusy(error)) this.stop();
    }
    // Somebody who was told may have ended the subscription.
    return this.#interval !== undefined;
  }
}
