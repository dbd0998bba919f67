import type { Storage } from "../../core/storage.js";
import type { Fixture } from "./fixture.js";

export interface Case {
  readonly title: string;
  readonly run: (store: Fixture) => Promise<void>;
}

/** One `describe` of the suite. */
export interface Topic {
  readonly title: string;
  readonly cases: readonly Case[];
  /** Why a storage does not have what the topic is about, if its capabilities say so. */
  readonly lack?: (storage: Storage) => string | undefined;
}

/** Titles are keys, so that none comes twice in a topic. */
export function topic(
  title: string,
  cases: Readonly<Record<string, Case["run"]>>,
  lack?: Topic["lack"],
): Topic {
  return {
    title,
    cases: Object.entries(cases).map(([name, run]) => ({ title: name, run })),
    ...(lack === undefined ? {} : { lack }),
  };
}
