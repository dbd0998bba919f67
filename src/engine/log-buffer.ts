import type { LogLine } from "../core/storage.js";

/**
 * Numbers the log lines of one execution. Lines that an earlier execution
 * stored are counted per stream (task and attempt) and left out on replay.
 */
export class LogBuffer {
  readonly #stored: Readonly<Record<string, number>>;
  #written: Map<string, number> | undefined;
  #ordinal = 0;

  constructor(stored: Readonly<Record<string, number>>) {
    this.#stored = stored;
  }

  /** The line to store and show, or undefined for a repetition. */
  next(stream: string, line: Omit<LogLine, "ordinal" | "stream">): LogLine | undefined {
    this.#written ??= new Map();
    const count = (this.#written.get(stream) ?? 0) + 1;
    this.#written.set(stream, count);
    const known = Object.hasOwn(this.#stored, stream) ? (this.#stored[stream] ?? 0) : 0;
    return count <= known ? undefined : { ...line, stream, ordinal: this.#ordinal++ };
  }
}
