import { encodeErrorRecord, toErrorRecord } from "../core/error-record.js";
import type { CreateGroup, NewRun } from "../core/storage.js";
import { type Admission, admitText } from "./admission.js";
import type { Engine } from "./engine.js";
import { eventRun, type StoredEvent } from "./event-run.js";
import { newId } from "./ids.js";
import { hooksOfOver } from "./over-at-creation.js";
import { type Listener, REGISTRY_KEY, type Registration } from "./registry.js";
import { createRefused, payloadInvalid } from "./start-runs.js";

/** An event that is to happen now, with the id of the run that stands for it. */
export interface Happening {
  readonly event: StoredEvent;
  readonly runId: string;
}

/** An event with the runs that it starts. */
export interface FanOut {
  readonly event: StoredEvent;
  /** Some job listens to its name, whatever its filter says. */
  readonly hasListeners: boolean;
  readonly runs: readonly NewRun[];
  readonly group: CreateGroup;
  /** False: its id was known before, and nothing was made. */
  readonly isNew: boolean;
}

/**
 * Makes the events, the runs they start and `others`, all or nothing. What was
 * decided from is named as expected, so that no job and no wait that came
 * before misses an event.
 */
export async function createEvents(
  engine: Engine,
  happenings: readonly Happening[],
  others: readonly CreateGroup[] = [],
): Promise<{ fanOuts: readonly FanOut[]; others: readonly boolean[] }> {
  const { patience, registry, paths } = engine;
  // Patient also here: a run that sends an event must not fail since the storage was away.
  await patience.until(() => registry.ensureLoaded(engine.storeClock.now()));
  const names = [...new Set(happenings.map(({ event }) => event.name))];
  for (;;) {
    const expect = [{ key: REGISTRY_KEY, version: registry.version }];
    for (const name of names) expect.push(paths.expected(name));
    const fanOuts = await Promise.all(happenings.map((each) => fanOutOf(engine, each)));
    const result = await engine.queue.create({
      createId: engine.writeIds.next(),
      groups: [...fanOuts.map(({ group }) => group), ...others],
      expect,
    });
    if (result.result === "ok") {
      const made = result.groups.map(({ first }) => first.created);
      return {
        fanOuts: fanOuts.map((fanOut, index) => ({ ...fanOut, isNew: made[index] === true })),
        others: made.slice(fanOuts.length),
      };
    }
    if (result.result !== "conflict") throw createRefused(result);
    // A job was registered meanwhile, or somebody began to wait: both must hear of this.
    await patience.until(() => registry.reload());
    for (const name of names) await patience.until(() => paths.reload(name));
  }
}

async function fanOutOf(engine: Engine, { event, runId }: Happening): Promise<FanOut> {
  const now = engine.storeClock.now();
  const listeners = engine.registry.listeners(event.name, event.source);
  const paths = engine.paths.paths(event.name);
  const jobs = await hearing(engine, event, listeners);
  const runs = await Promise.all(jobs.map((job) => heardRun(engine, event, job, now)));
  const runIds = runs.map(({ id }) => id);
  const first = await eventRun(engine, event, { id: runId, runIds, paths, now });
  const group = { first, further: [...runs, ...hooksOfOver(engine, runs, now)] };
  return { event, hasListeners: listeners.length > 0, runs, group, isNew: false };
}

/** A filter looks at the payload as it is stored, so that all processes see the same. */
async function hearing(
  engine: Engine,
  event: StoredEvent,
  listeners: readonly Listener[],
): Promise<Registration[]> {
  const payload = listeners.some(({ hears }) => hears !== undefined)
    ? await engine.codec.decode(event.payload)
    : undefined;
  return listeners.filter(({ hears }) => hears?.(payload) ?? true).map(({ job }) => job);
}

/** The run of one job that hears the event. A payload it cannot take makes a run that says so. */
export async function heardRun(
  engine: Engine,
  event: Pick<StoredEvent, "id" | "payload" | "meta">,
  registered: Registration,
  now: number,
): Promise<NewRun> {
  const definition = engine.jobs.get(registered.id);
  const run: NewRun = {
    id: newId(now),
    jobId: registered.id,
    version: definition?.version ?? registered.version,
    status: "PENDING",
    wakeAt: now,
    payload: event.payload,
    maxDurationMs: registered.maxDurationMs,
    priority: definition?.options.priority ?? registered.priority,
    eventId: event.id,
    meta: event.meta,
  };
  if (definition === undefined) return run;
  let admission: Admission;
  try {
    admission = await admitText(engine, definition, event.payload);
  } catch (error) {
    return { ...run, status: "FAILED", error: encodeErrorRecord(toErrorRecord(error)) };
  }
  if (admission.ok) {
    const { admitted, tags, limitKeys } = admission;
    return { ...run, admitted, tags, limitKeys };
  }
  const error = toErrorRecord(payloadInvalid(registered.id, admission.issues));
  return { ...run, status: "INVALID_PAYLOAD", error: encodeErrorRecord(error) };
}
