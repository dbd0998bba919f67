import { isFinal } from "../../core/run-status.js";
import { isOpenWait, type StoredTask, waitOrder } from "../../core/run-tables.js";
import type { WaitingPage } from "../../core/storage.js";
import type { RunRow } from "./run-row.js";

export interface OpenWait {
  readonly row: RunRow;
  readonly task: StoredTask;
  open: boolean;
}

type Place = Readonly<{ runId: string; path: string }>;

function placeOf({ row, task }: OpenWait): Place {
  return { runId: row.id, path: task.path };
}

function compare(a: OpenWait, b: OpenWait): number {
  return waitOrder(placeOf(a), placeOf(b));
}

/** The waits of one topic, by run and path. Sorted when somebody reads, cleared of closed ones then. */
class TopicWaits {
  open = 0;
  #waits: OpenWait[] = [];
  #sorted = true;

  add(wait: OpenWait): void {
    this.#waits.push(wait);
    this.#sorted = false;
    this.open += 1;
  }

  after(place: Place | undefined, limit: number): OpenWait[] {
    if (!this.#sorted || this.#waits.length > 2 * this.open) {
      this.#waits = this.#waits.filter((wait) => wait.open).sort(compare);
      this.#sorted = true;
    }
    const found: OpenWait[] = [];
    for (
      let at = this.#indexAfter(place);
      at < this.#waits.length && found.length < limit;
      at += 1
    ) {
      const wait = this.#waits[at];
      if (wait?.open) found.push(wait);
    }
    return found;
  }

  #indexAfter(place: Place | undefined): number {
    let low = 0;
    let high = place === undefined ? 0 : this.#waits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const wait = this.#waits[middle];
      if (place === undefined || wait === undefined || waitOrder(placeOf(wait), place) > 0)
        high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Open event waits of runs that are not final, by topic. */
export class TopicIndex {
  readonly #topics = new Map<string, TopicWaits>();
  readonly #waits = new Map<StoredTask, OpenWait>();

  add(row: RunRow, task: StoredTask): void {
    if (!isOpenWait(task)) return;
    const wait: OpenWait = { row, task, open: true };
    this.#waits.set(task, wait);
    row.waits += 1;
    for (const topic of new Set(task.topics)) {
      const waits = this.#topics.get(topic) ?? new TopicWaits();
      this.#topics.set(topic, waits);
      waits.add(wait);
    }
  }

  remove(task: StoredTask): void {
    if (task.status !== "WAITING") return;
    const wait = this.#waits.get(task);
    if (wait === undefined) return;
    wait.open = false;
    wait.row.waits -= 1;
    this.#waits.delete(task);
    for (const topic of new Set(task.topics)) {
      const waits = this.#topics.get(topic);
      if (waits === undefined) continue;
      waits.open -= 1;
      if (waits.open === 0) this.#topics.delete(topic);
    }
  }

  /** To be called when a run ends or is reopened. */
  follow(row: RunRow): void {
    const isOver = isFinal(row.run.status);
    if (row.tasks === null || (isOver && row.waits === 0)) return;
    for (const task of row.tasks.all()) {
      if (isOver) this.remove(task);
      else if (!this.#waits.has(task)) this.add(row, task);
    }
  }

  list(topics: readonly string[], page: WaitingPage): OpenWait[] {
    const found = new Set<OpenWait>();
    for (const topic of topics)
      for (const wait of this.#topics.get(topic)?.after(page.after, page.limit) ?? [])
        found.add(wait);
    return [...found].sort(compare).slice(0, page.limit);
  }
}
