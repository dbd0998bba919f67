import { compileFilter, type FilterTest } from "../core/filter.js";
import type { EventFilter } from "../core/filter-types.js";
import type { Engine } from "./engine.js";
import type { StoredEvent } from "./event-run.js";

/** What an open wait listens for; the `filter` of its record is this as JSON. */
export interface Sought {
  readonly names: readonly string[];
  readonly source: string;
  readonly filter?: EventFilter;
}

/** Compiled filters of waits, by their text: ten thousand waits often have one and the same. */
const MOST_COMPILED = 10_000;

/** Tells whether an event is one that a wait seeks. */
export class EventMatcher {
  readonly #engine: Engine;
  readonly #tests = new Map<string, FilterTest>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The payload is decoded at most once for all waits that are asked about. */
  of(event: StoredEvent): (soughtText: string) => Promise<boolean> {
    let payload: { readonly value: unknown } | undefined;
    return async (soughtText) => {
      const sought = JSON.parse(soughtText) as Sought;
      if (sought.source !== event.source || !sought.names.includes(event.name)) return false;
      if (sought.filter === undefined) return true;
      try {
        payload ??= { value: await this.#engine.codec.decode(event.payload) };
        return this.#test(JSON.stringify(sought.filter), sought.filter)(payload.value);
      } catch (error) {
        // A payload or a filter that cannot be read is nobody's: who waits for others must not fail of it.
        this.#engine.onTrouble(error);
        return false;
      }
    };
  }

  #test(text: string, filter: EventFilter): FilterTest {
    let test = this.#tests.get(text);
    if (test !== undefined) return test;
    if (this.#tests.size >= MOST_COMPILED) this.#tests.clear();
    test = compileFilter(filter, "filter of waitForEvent");
    this.#tests.set(text, test);
    return test;
  }
}
