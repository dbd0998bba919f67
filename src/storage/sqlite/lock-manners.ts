import type { Database } from "./database.js";

const LONGEST_STREAK_MS = 20;
const FREE_FOR_MS = 5;

/**
 * SQLite's write lock is unfair: who retries every few milliseconds never gets
 * in between the batches of a process that writes back to back. So a process
 * that has seen another one write leaves the lock free for a moment from time
 * to time. What tells it is the data version, which changes when another
 * connection commits; it serves as the hint of new work, too.
 */
export class LockManners {
  readonly #database: Database;
  readonly #onOthersWrote: () => void;
  #version: number | undefined;
  #shared = false;
  #streakFrom = Number.NEGATIVE_INFINITY;
  #lastRelease = Number.NEGATIVE_INFINITY;
  #looks = 0;
  #writes = 0;

  constructor(database: Database, onOthersWrote: () => void) {
    this.#database = database;
    this.#onOthersWrote = onOthersWrote;
  }

  /** Answers the data version, which another connection's commit changes. */
  look(): number {
    this.#looks++;
    const version = this.#database.dataVersion();
    const changed = this.#version !== undefined && version !== this.#version;
    this.#version = version;
    if (changed) {
      this.#share();
      this.#onOthersWrote();
    }
    return version;
  }

  /** For how many milliseconds the lock must stay free before the next batch. */
  pauseBefore(): number {
    if (!this.#shared) return 0;
    const now = performance.now();
    const freeFor = now - this.#lastRelease;
    if (freeFor >= FREE_FOR_MS) this.#streakFrom = now;
    if (now - this.#streakFrom < LONGEST_STREAK_MS) return 0;
    return FREE_FOR_MS - freeFor;
  }

  /** Another process writes to the file. */
  get isShared(): boolean {
    return this.#shared;
  }

  /** So far; every write transaction looks as well. */
  get looks(): number {
    return this.#looks;
  }

  /** The lock was held by another process. */
  refused(): void {
    this.#share();
  }

  #share(): void {
    if (this.#shared) return;
    this.#shared = true;
    // Not looked at before: alone, the times do not matter, and looking at the clock is felt in a lone commit.
    this.#streakFrom = performance.now();
  }

  /** So far, by this process. */
  get writes(): number {
    return this.#writes;
  }

  released(): void {
    this.#writes++;
    if (this.#shared) this.#lastRelease = performance.now();
  }
}
