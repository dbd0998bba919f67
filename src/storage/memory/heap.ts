export interface HeapItem {
  /** Kept by the heap, so that an item can be taken out of the middle. */
  heapIndex: number;
}

/** A binary heap whose items know their place. An item is in one heap at a time. */
export class Heap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(item: T): void {
    const at = item.heapIndex;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#rise(last, at);
      this.#sink(last, last.heapIndex);
    }
    item.heapIndex = -1;
  }

  /** At most `limit` items from the top for which `accept` holds, in no order. `accept` must follow the heap's order. */
  top(accept: (item: T) => boolean, limit: number): T[] {
    const found: T[] = [];
    const open = [0];
    for (let at = open.pop(); at !== undefined && found.length < limit; at = open.pop()) {
      const item = this.#items[at];
      if (item === undefined || !accept(item)) continue;
      found.push(item);
      open.push(2 * at + 2, 2 * at + 1);
    }
    return found;
  }

  #rise(item: T, from: number): void {
    const items = this.#items;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = items[above];
      if (other === undefined || !this.#before(item, other)) break;
      items[at] = other;
      other.heapIndex = at;
      at = above;
    }
    items[at] = item;
    item.heapIndex = at;
  }

  #sink(item: T, from: number): void {
    const items = this.#items;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      let other = items[below];
      if (other === undefined) break;
      const right = items[below + 1];
      if (right !== undefined && this.#before(right, other)) {
        other = right;
        below += 1;
      }
      if (!this.#before(other, item)) break;
      items[at] = other;
      other.heapIndex = at;
      at = below;
    }
    items[at] = item;
    item.heapIndex = at;
  }
}
