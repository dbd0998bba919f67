import { compileFilter, type FilterTest } from "../core/filter.js";
import type { AnyJob } from "../core/job.js";
import { compareVersions } from "../core/job-options.js";
import type { Storage } from "../core/storage.js";
import type { EventTriggerData, TriggerData } from "../core/trigger.js";

/** A job as other processes see it: what a sender without its code needs. */
export interface Registration {
  readonly id: string;
  readonly version: string;
  readonly trigger: TriggerData;
  readonly enabled: boolean;
  readonly maxDurationMs: number | null;
  readonly priority: number;
  readonly hooks: readonly string[];
}

/** A job that listens to an event. */
export interface Listener {
  readonly job: Registration;
  readonly source: string;
  /** Whether it hears a payload; undefined if it hears all. Compiled on first use. */
  readonly hears: FilterTest | undefined;
}

export const REGISTRY_KEY = "$registry";
const JOB_PREFIX = "$job:";
const SEEN_PREFIX = "$seen:";
const FORGOTTEN_AFTER_MS = 30 * 86_400_000;
const RENEW_AFTER_MS = 86_400_000;
const PAGE = 500;

/**
 * The jobs that any process on the storage has registered, cached. The version
 * of the value {@link REGISTRY_KEY} rises with each change, and a fan-out names
 * the version it was decided with, so that no event misses a job that was
 * registered before it (contract E1).
 */
export class Registry {
  readonly #storage: Storage;
  #jobs = new Map<string, Registration>();
  /** By name of the event: of other names there may be thousands. */
  #listeners = new Map<string, Listener[]>();
  #version = 0;
  #loadedAt: number | undefined;
  #reloading: Promise<void> | undefined;
  /** Jobs of this very process: it is there to say that they have not gone, also after a long sleep. */
  readonly #own = new Set<string>();
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  get version(): number {
    return this.#version;
  }

  get(jobId: string): Registration | undefined {
    return this.#jobs.get(jobId);
  }

  ids(): string[] {
    return [...this.#jobs.keys()];
  }

  /** Enabled jobs that may hear this event, if their filters let it through. */
  listeners(name: string, source: string): Listener[] {
    const named = this.#listeners.get(name) ?? [];
    return named.filter((listener) => listener.source === source);
  }

  /** Enabled jobs whose trigger is this dynamic schedule. */
  jobsOfSchedule(dynamicId: string): Registration[] {
    return [...this.#jobs.values()].filter(
      ({ enabled, trigger }) => enabled && trigger.type === "dynamic" && trigger.id === dynamicId,
    );
  }

  /** Once a day anew: a job that nobody renews drops out, and renewals change no version. */
  async ensureLoaded(now: number): Promise<void> {
    if (this.#loadedAt === undefined || now - this.#loadedAt >= RENEW_AFTER_MS) await this.reload();
  }

  /** Reloads if another process has changed anything. A hundred who ask at once reload once. */
  async refresh(): Promise<void> {
    const stored = await this.#storage.getValue(REGISTRY_KEY);
    while (this.#loadedAt === undefined || this.#version < (stored?.version ?? 0)) {
      this.#reloading ??= this.reload().finally(() => {
        this.#reloading = undefined;
      });
      await this.#reloading;
    }
  }

  async reload(): Promise<void> {
    const version = (await this.#storage.getValue(REGISTRY_KEY))?.version ?? 0;
    const now = await this.#storage.now();
    const seen = new Map<string, number>();
    for await (const { key, value } of this.#values(SEEN_PREFIX)) {
      seen.set(key.slice(SEEN_PREFIX.length), Number(value));
    }
    const jobs = new Map<string, Registration>();
    for await (const { key, value } of this.#values(JOB_PREFIX)) {
      const id = key.slice(JOB_PREFIX.length);
      if (this.#own.has(id) || now - (seen.get(id) ?? now) < FORGOTTEN_AFTER_MS)
        jobs.set(id, JSON.parse(value) as Registration);
    }
    this.#jobs = jobs;
    this.#listeners = listenersByName(jobs.values());
    this.#version = version;
    this.#loadedAt = now;
  }

  /** Makes these jobs known to every process. Writes only what differs. */
  async register(jobs: readonly Registration[]): Promise<void> {
    const now = await this.#storage.now();
    for (const { id } of jobs) this.#own.add(id);
    const changed: Registration[] = [];
    for (const job of jobs) {
      if (await this.#registerOne(job)) changed.push(job);
    }
    if (changed.length > 0) await this.#announce();
    for (const job of changed) await this.#markAnnounced(job);
    await this.renew(
      jobs.map(({ id }) => id),
      now,
    );
    await this.reload();
  }

  needsRenewal(now: number): boolean {
    return now - this.#renewedAt >= RENEW_AFTER_MS;
  }

  /** Says that there is a process with these jobs. One that was forgotten is heard of again. */
  async renew(jobIds: readonly string[], now: number): Promise<void> {
    this.#renewedAt = now;
    let isBack = false;
    for (const jobId of jobIds) {
      const seen = await this.#storage.getValue(SEEN_PREFIX + jobId);
      const age = seen === undefined ? 0 : now - Number(seen.value);
      if (seen !== undefined && age < RENEW_AFTER_MS) continue;
      await this.#storage.setValue(SEEN_PREFIX + jobId, String(now));
      if (age >= FORGOTTEN_AFTER_MS) isBack = true;
    }
    if (isBack) await this.#announce();
  }

  async remove(jobId: string): Promise<void> {
    await this.#storage.deleteValue(JOB_PREFIX + jobId);
    await this.#storage.deleteValue(SEEN_PREFIX + jobId);
    await this.#announce();
    await this.reload();
  }

  async #announce(): Promise<void> {
    await this.#storage.setValue(REGISTRY_KEY, "changed");
  }

  /** Answers whether senders have to be told. */
  async #registerOne(job: Registration): Promise<boolean> {
    const value = JSON.stringify(job);
    for (;;) {
      const stored = await this.#storage.getValue(JOB_PREFIX + job.id);
      if (stored?.value === value) return false;
      // Written by a process that is about to tell, or that died before it could.
      if (stored?.value === unannounced(job)) return true;
      // During a rolling deploy the old version must not take the place of the new one.
      if (
        stored !== undefined &&
        compareVersions((JSON.parse(stored.value) as Registration).version, job.version) > 0
      ) {
        return false;
      }
      const written = await this.#storage.setValue(
        JOB_PREFIX + job.id,
        unannounced(job),
        stored?.version ?? 0,
      );
      if (written.ok) return true;
    }
  }

  async #markAnnounced(job: Registration): Promise<void> {
    const stored = await this.#storage.getValue(JOB_PREFIX + job.id);
    if (stored?.value !== unannounced(job)) return;
    await this.#storage.setValue(JOB_PREFIX + job.id, JSON.stringify(job), stored.version);
  }

  async *#values(prefix: string): AsyncGenerator<{ key: string; value: string }> {
    let after: string | undefined;
    for (;;) {
      const page = await this.#storage.listValues(prefix, {
        ...(after === undefined ? {} : { after }),
        limit: PAGE,
      });
      yield* page;
      after = page.at(-1)?.key;
      if (page.length < PAGE) return;
    }
  }
}

function listenersByName(jobs: Iterable<Registration>): Map<string, Listener[]> {
  const byName = new Map<string, Listener[]>();
  for (const job of jobs) {
    const { trigger } = job;
    if (trigger.type !== "event" || !job.enabled) continue;
    const listener = listenerOf(job, trigger);
    for (const name of new Set(trigger.names)) {
      const named = byName.get(name) ?? [];
      named.push(listener);
      byName.set(name, named);
    }
  }
  return byName;
}

function listenerOf(job: Registration, { source, filter }: EventTriggerData): Listener {
  let hears: FilterTest | undefined;
  return {
    job,
    source,
    get hears() {
      if (filter !== undefined) hears ??= compileFilter(filter, `filter of job "${job.id}"`);
      return hears;
    },
  };
}

function unannounced(job: Registration): string {
  return JSON.stringify({ ...job, announced: false });
}

export function registrationOf(job: AnyJob, maxDurationMs: number | null): Registration {
  const { onStart, onSuccess, onFailure, onCancel } = job.options;
  const hooks = Object.entries({ onStart, onSuccess, onFailure, onCancel })
    .filter(([, hook]) => hook !== undefined)
    .map(([name]) => name);
  return {
    id: job.id,
    version: job.version,
    trigger: job.trigger.data,
    enabled: job.enabled,
    maxDurationMs,
    priority: job.options.priority ?? 0,
    hooks,
  };
}
