import { NO_PATH, nameTopic, topicPath, waitTopic } from "../core/event-topic.js";
import type { EventFilter } from "../core/filter-types.js";
import type { Storage } from "../core/storage.js";

const PREFIX = "$paths:";
/** More paths than that share the topic of the name: each costs every event of the name a look. */
const MOST_PATHS = 50;
const MOST_KNOWN = 10_000;

/**
 * Of one event name: the paths that somebody waits on, with the instant from
 * which on every event has the topics of that path. `null`: not known yet.
 */
type Paths = Readonly<Record<string, number | null>>;

interface KnownPaths {
  readonly version: number;
  readonly paths: Paths;
}

const nobody: KnownPaths = { version: 0, paths: {} };

/**
 * Which event names anybody has ever waited for, and by which paths (contract
 * E8). An event is created on condition that this has not changed, so one of a
 * name that nobody waits for costs nothing more, and none is made without the
 * topics by which a later wait will look for it.
 */
export class EventPaths {
  readonly #storage: Storage;
  /** As it was at the last look; what is not in here is taken for "nobody". */
  readonly #known = new Map<string, KnownPaths>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** What the creation of an event of this name names as expected. */
  expected(name: string): { key: string; version: number } {
    return { key: PREFIX + name, version: this.#of(name).version };
  }

  /** Undefined if nobody has ever waited for the name. */
  paths(name: string): string[] | undefined {
    const { version, paths } = this.#of(name);
    return version === 0 ? undefined : Object.keys(paths);
  }

  async reload(name: string): Promise<KnownPaths> {
    const stored = await this.#storage.getValue(PREFIX + name);
    return this.#learn(name, stored === undefined ? nobody : parsed(stored));
  }

  /**
   * For one who waits: from now on, events of this name have the topic that is
   * answered, and are delivered to who listens on it.
   */
  async ensure(name: string, filter: EventFilter | undefined): Promise<Listened> {
    const path = topicPath(filter);
    for (;;) {
      const { paths, version } = await this.reload(name);
      const isFull = !(path in paths) && Object.keys(paths).length >= MOST_PATHS;
      const wanted = isFull ? NO_PATH : path;
      const since = paths[wanted];
      const nameSince = paths[NO_PATH];
      if (typeof since === "number" && typeof nameSince === "number")
        return {
          topic: isFull ? nameTopic(name) : waitTopic(name, filter),
          topicSince: since,
          nameSince,
        };
      if (since === undefined || nameSince === undefined) {
        await this.#write(name, { [NO_PATH]: null, [wanted]: null, ...paths }, version);
      } else {
        await this.#write(name, await this.#dated(paths), version);
      }
    }
  }

  /** Read after the paths have become durable: no event without their topics is created later than that. */
  async #dated(paths: Paths): Promise<Paths> {
    const [now, { runs }] = await Promise.all([
      this.#storage.now(),
      this.#storage.listRuns({ internal: true, limit: 1 }),
    ]);
    const instant = Math.max(now, runs[0]?.createdAt ?? 0);
    return Object.fromEntries(Object.entries(paths).map(([path, at]) => [path, at ?? instant]));
  }

  /** Whoever comes second looks again. */
  async #write(name: string, paths: Paths, version: number): Promise<void> {
    await this.#storage.setValue(PREFIX + name, JSON.stringify(paths), version);
  }

  #of(name: string): KnownPaths {
    return this.#known.get(name) ?? nobody;
  }

  #learn(name: string, known: KnownPaths): KnownPaths {
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    if (known.version === 0) this.#known.delete(name);
    else this.#known.set(name, known);
    return known;
  }
}

export interface Listened {
  readonly topic: string;
  /** From these instants on, events have that topic, and the one of their name. */
  readonly topicSince: number;
  readonly nameSince: number;
}

function parsed({ value, version }: { value: string; version: number }): KnownPaths {
  return { version, paths: JSON.parse(value) as Paths };
}
