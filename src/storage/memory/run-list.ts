import type { RunRow } from "./run-row.js";

/** Runs in the order of their creation. */
export class RunList {
  #rows: RunRow[] = [];

  get size(): number {
    return this.#rows.length;
  }

  add(row: RunRow): void {
    const last = this.#rows[this.#rows.length - 1];
    if (last === undefined || last.order < row.order) this.#rows.push(row);
    else
      this.#rows.splice(
        this.#indexFrom((each) => each.order > row.order),
        0,
        row,
      );
  }

  remove(row: RunRow): void {
    this.#rows.splice(
      this.#indexFrom((each) => each.order >= row.order),
      1,
    );
  }

  /** One pass for a whole batch of purged runs. */
  dropPurged(): void {
    this.#rows = this.#rows.filter((row) => !row.purged);
  }

  all(): readonly RunRow[] {
    return this.#rows;
  }

  /** Newest first, from the last that is `before`, which must hold for a first part of the list. */
  *newestFirst(before: (row: RunRow) => boolean): Generator<RunRow> {
    for (let at = this.#indexFrom((row) => !before(row)) - 1; at >= 0; at -= 1) {
      const row = this.#rows[at];
      if (row !== undefined) yield row;
    }
  }

  #indexFrom(isPast: (row: RunRow) => boolean): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#rows[middle];
      if (row === undefined || isPast(row)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Runs by one text column. */
export class RunLists {
  readonly #lists = new Map<string, RunList>();

  get(name: string): RunList | undefined {
    return this.#lists.get(name);
  }

  add(name: string | null, row: RunRow): void {
    if (name === null) return;
    const list = this.#lists.get(name) ?? new RunList();
    if (list.size === 0) this.#lists.set(name, list);
    list.add(row);
  }

  remove(name: string, row: RunRow): void {
    const list = this.#lists.get(name);
    list?.remove(row);
    if (list?.size === 0) this.#lists.delete(name);
  }

  dropPurged(names: Iterable<string>): void {
    for (const name of names) {
      const list = this.#lists.get(name);
      list?.dropPurged();
      if (list?.size === 0) this.#lists.delete(name);
    }
  }
}
