import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData, type Receipt } from "../core/task-data.js";

interface Received {
  readonly path: string;
  readonly seq: number;
}

/** What a wait has received so far: a record that takes the place of this one keeps it. */
export function receiptsOf(record: Pick<TaskRecord, "data" | "seq"> | undefined): {
  readonly passed?: readonly Receipt[];
} {
  if (record === undefined) return {};
  const { eventId, passed = [] } = decodeTaskData(record.data);
  const all: readonly Receipt[] =
    eventId === undefined ? passed : [...passed, [eventId, record.seq]];
  return all.length === 0 ? {} : { passed: all };
}

/**
 * Which events the waits of one run have received, and when: a later wait passes
 * over them (contract E8). What a branch received that lost a `waitForAny` was
 * given to nobody, so it does not count.
 */
export class ReceivedEvents {
  readonly #records: ReadonlyMap<string, TaskRecord>;
  #received: Map<string, Received[]> | undefined;
  /** Path of each decided race, and that of its winner. */
  #races: Map<string, string> | undefined;

  /** Reads the records only when somebody asks: most runs wait for no event. */
  constructor(records: ReadonlyMap<string, TaskRecord>) {
    this.#records = records;
  }

  add(eventId: string, path: string, seq: number): void {
    const received = this.#known().get(eventId) ?? [];
    received.push({ path, seq });
    this.#known().set(eventId, received);
  }

  /** A race was decided: its other branches go on no more. */
  decided(racePath: string, winnerPath: string): void {
    this.#races ??= new Map();
    this.#races.set(racePath, winnerPath);
  }

  /** True if a wait received it before the record with this seq was written. */
  wasBefore(eventId: string, seq: number): boolean {
    const received = this.#known().get(eventId) ?? [];
    return received.some((each) => each.seq < seq && !this.#isLost(each.path));
  }

  #isLost(path: string): boolean {
    for (const [race, winner] of this.#races ?? []) {
      if (path.startsWith(`${race}/`) && path !== winner && !path.startsWith(`${winner}/`))
        return true;
    }
    return false;
  }

  #known(): Map<string, Received[]> {
    if (this.#received !== undefined) return this.#received;
    this.#received = new Map();
    for (const record of this.#records.values()) {
      const { kind, path, data } = record;
      if (kind !== "waitForEvent" && kind !== "any") continue;
      for (const [eventId, seq] of receiptsOf(record).passed ?? []) this.add(eventId, path, seq);
      const { winner } = decodeTaskData(data);
      if (winner !== undefined) this.decided(path, winner);
    }
    return this.#received;
  }
}
