import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData } from "../core/task-data.js";

/** Which events the waits of one run have received, and when: a later wait passes over them (contract E8). */
export class ReceivedEvents {
  readonly #records: () => Iterable<TaskRecord>;
  #seqs: Map<string, number> | undefined;

  /** Reads the records only when somebody asks: most runs wait for no event. */
  constructor(records: () => Iterable<TaskRecord>) {
    this.#records = records;
  }

  add(eventId: string, seq: number): void {
    this.#known().set(eventId, Math.min(seq, this.#known().get(eventId) ?? seq));
  }

  /** True if a wait received it before the record with this seq was written. */
  wasBefore(eventId: string, seq: number): boolean {
    return (this.#known().get(eventId) ?? Number.POSITIVE_INFINITY) < seq;
  }

  #known(): Map<string, number> {
    if (this.#seqs !== undefined) return this.#seqs;
    this.#seqs = new Map();
    for (const record of this.#records()) {
      const { eventId } = record.kind === "waitForEvent" ? decodeTaskData(record.data) : {};
      if (eventId !== undefined) this.add(eventId, record.seq);
    }
    return this.#seqs;
  }
}
