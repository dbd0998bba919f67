import { nameTopic } from "../core/event-topic.js";
import type { RunQuery, RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { EVENT_JOB } from "./event-run.js";

const PAGE = 200;

/** Where in the past a wait looks for events of one name. */
export interface LookBack {
  readonly name: string;
  /** What the wait listens on: the name's topic, or a narrower one. */
  readonly topic: string;
  /** From these instants on, events carry that topic, and the one of their name. */
  readonly topicSince: number;
  readonly nameSince: number;
  /** Earlier events do not count. */
  readonly from: number;
}

/**
 * The first event in order of creation that is wanted. Linearizable, as the
 * contract asks of `listRuns` where an event is delivered at once: what was
 * sent before the wait was recorded is found here, what is sent later finds
 * the record.
 */
export async function earliestEvent(
  engine: Engine,
  lookBack: LookBack,
  isWanted: (event: RunRecord) => boolean | Promise<boolean>,
): Promise<RunRecord | undefined> {
  for (const query of stretches(lookBack)) {
    const found = await earliestOf(engine, query, isWanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

type Stretch = Pick<RunQuery, "jobIds" | "tag" | "createdFrom" | "createdTo">;

/** From old to new: events without topics, events with the topic of their name, events with the topic itself. */
function stretches({ name, topic, topicSince, nameSince, from }: LookBack): Stretch[] {
  const byName = nameTopic(name);
  // A tag of the user's may look like a topic.
  const jobIds = [EVENT_JOB];
  const found: Stretch[] = [];
  if (from <= nameSince) found.push({ jobIds, createdFrom: from, createdTo: nameSince + 1 });
  if (topic !== byName && from <= topicSince)
    found.push({ jobIds, tag: byName, createdFrom: from, createdTo: topicSince + 1 });
  found.push({ jobIds, tag: topic, createdFrom: from });
  return found;
}

/** Lists are newest first, so the last one found counts. */
async function earliestOf(
  engine: Engine,
  stretch: Stretch,
  isWanted: (event: RunRecord) => boolean | Promise<boolean>,
): Promise<RunRecord | undefined> {
  let earliest: RunRecord | undefined;
  let cursor: string | undefined;
  do {
    const query: RunQuery = {
      ...stretch,
      internal: true,
      limit: PAGE,
      ...(cursor === undefined ? undefined : { cursor }),
    };
    const page = await engine.patience.until(() => engine.rawStorage.listRuns(query));
    for (const run of page.runs) if (await isWanted(run)) earliest = run;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return earliest;
}
