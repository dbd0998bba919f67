import type { ErrorRecord } from "../core/error-record.js";
import type { TaskOptions } from "../core/io.js";
import type { DisplayProperty } from "../core/run.js";
import type { TaskRecord } from "../core/storage.js";
import {
  type AttemptRecord,
  decodeTaskData,
  encodeTaskData,
  type TaskData,
} from "../core/task-data.js";
import { displayData, hasDisplay, type StoredOptions } from "./task-display.js";

/** A task that is retried without end must not grow its record without end. */
const MOST_KEPT = 50;

/** The failed attempts of one task, and what its records keep beside their columns. */
export class TaskHistory {
  /** Recorded attempts, which may be more than are kept. */
  attempts = 0;
  #kept: readonly AttemptRecord[] = [];

  /** Goes on after what an earlier execution recorded. */
  restore(earlier: TaskRecord): void {
    this.attempts = earlier.attempts;
    this.#kept = decodeTaskData(earlier.data).history ?? [];
  }

  failed(startedAt: number, finishedAt: number, error: ErrorRecord): void {
    this.attempts++;
    this.#kept = [...this.#kept.slice(1 - MOST_KEPT), [startedAt, finishedAt, error]];
  }

  /** `tag` tells later whether this unfinished record still counts. */
  openData(options: StoredOptions, tag: string): string | null {
    return encodeTaskData({ ...displayData(options), tag, ...this.#data() });
  }

  finalData(
    options: TaskOptions,
    outputProperties: readonly DisplayProperty[] | undefined,
  ): string | null {
    if (outputProperties === undefined && this.#kept.length === 0 && !hasDisplay(options))
      return null;
    return encodeTaskData({
      ...displayData(options),
      ...(outputProperties === undefined ? undefined : { outputProperties }),
      ...this.#data(),
    });
  }

  #data(): TaskData | undefined {
    return this.#kept.length === 0 ? undefined : { history: this.#kept };
  }
}
