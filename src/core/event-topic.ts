import { topicHash } from "./derived-id.js";
import { firstEquality, scalarsAt } from "./filter.js";
import type { EventFilter, FilterScalar } from "./filter-types.js";

/**
 * Where a wait and an event meet (contract E8). Every event has its name's
 * topic. A filter whose first condition asks for one value has a topic of its
 * own, so that an event of a name that ten thousand runs wait for, each for
 * another customer, looks at a few of them.
 */
export function nameTopic(name: string): string {
  return `event:${name}`;
}

/** The path of a filter's first equality as one text; "" if it has none. */
export function topicPath(filter: EventFilter | undefined): string {
  const first = firstEquality(filter);
  return first === undefined ? NO_PATH : JSON.stringify(first.path);
}

export const NO_PATH = "";

/** The topic on which a wait with this filter hears of events. */
export function waitTopic(name: string, filter: EventFilter | undefined): string {
  const first = firstEquality(filter);
  return first === undefined
    ? nameTopic(name)
    : equalityTopic(name, JSON.stringify(first.path), first.value);
}

/** The topics that an event has for the paths that somebody has waited on. */
export function eventTopics(name: string, payload: unknown, paths: readonly string[]): string[] {
  const topics = [nameTopic(name)];
  for (const path of paths) {
    if (path === NO_PATH) continue;
    for (const value of scalarsAt(payload, JSON.parse(path) as string[])) {
      topics.push(equalityTopic(name, path, value));
    }
  }
  return topics;
}

/** Hashed, since a value may be long and stores index topics. */
function equalityTopic(name: string, path: string, value: FilterScalar): string {
  return `${nameTopic(name)}?${topicHash(path, JSON.stringify(value))}`;
}
