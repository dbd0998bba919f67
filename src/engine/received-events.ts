import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData } from "../core/task-data.js";

interface Receipt {
  readonly path: string;
  readonly seq: number;
}

/**
 * Which events the waits of one run have received, and when: a later wait passes
 * over them (contract E8). What a branch received that lost a `waitForAny` was
 * given to nobody, so it does not count.
 */
export class ReceivedEvents {
  readonly #records: () => Iterable<TaskRecord>;
  #receipts: Map<string, Receipt[]> | undefined;
  /** Path of each decided race, and that of its winner. */
  readonly #races = new Map<string, string>();

  /** Reads the records only when somebody asks: most runs wait for no event. */
  constructor(records: () => Iterable<TaskRecord>) {
    this.#records = records;
  }

  add(eventId: string, path: string, seq: number): void {
    const receipts = this.#known().get(eventId) ?? [];
    receipts.push({ path, seq });
    this.#known().set(eventId, receipts);
  }

  /** A race was decided: its other branches go on no more. */
  decided(racePath: string, winnerPath: string): void {
    this.#races.set(racePath, winnerPath);
  }

  /** True if a wait received it before the record with this seq was written. */
  wasBefore(eventId: string, seq: number): boolean {
    const receipts = this.#known().get(eventId) ?? [];
    return receipts.some((receipt) => receipt.seq < seq && !this.#isLost(receipt.path));
  }

  #isLost(path: string): boolean {
    for (const [race, winner] of this.#races) {
      if (path.startsWith(`${race}/`) && path !== winner && !path.startsWith(`${winner}/`))
        return true;
    }
    return false;
  }

  #known(): Map<string, Receipt[]> {
    if (this.#receipts !== undefined) return this.#receipts;
    this.#receipts = new Map();
    for (const { kind, path, seq, data } of this.#records()) {
      if (kind !== "waitForEvent" && kind !== "any") continue;
      const { eventId, winner } = decodeTaskData(data);
      if (eventId !== undefined) this.add(eventId, path, seq);
      if (winner !== undefined) this.decided(path, winner);
    }
    return this.#receipts;
  }
}
