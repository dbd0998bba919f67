import type { AnyJob } from "../core/job.js";
import { compareVersions } from "../core/job-options.js";
import type { Storage } from "../core/storage.js";
import type { TriggerData } from "../core/trigger.js";

/** A job as other processes see it: what a sender without its code needs. */
export interface Registration {
  readonly id: string;
  readonly version: string;
  readonly trigger: TriggerData;
  readonly enabled: boolean;
  readonly maxDurationMs: number | null;
  readonly hooks: readonly string[];
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
  #version = 0;
  #loaded = false;

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

  /** Enabled jobs that hear this event. */
  listeners(name: string, source: string): Registration[] {
    return [...this.#jobs.values()].filter(
      ({ enabled, trigger }) =>
        enabled &&
        trigger.type === "event" &&
        trigger.source === source &&
        trigger.names.includes(name),
    );
  }

  async ensureLoaded(): Promise<void> {
    if (!this.#loaded) await this.reload();
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
      if (now - (seen.get(id) ?? now) < FORGOTTEN_AFTER_MS)
        jobs.set(id, JSON.parse(value) as Registration);
    }
    this.#jobs = jobs;
    this.#version = version;
    this.#loaded = true;
  }

  /** Makes these jobs known to every process. Writes only what differs. */
  async register(jobs: readonly Registration[]): Promise<void> {
    let changed = false;
    const now = await this.#storage.now();
    for (const job of jobs) {
      if (await this.#registerOne(job)) changed = true;
      await this.#renew(job.id, now);
    }
    if (changed) await this.#storage.setValue(REGISTRY_KEY, "changed");
    await this.reload();
  }

  async remove(jobId: string): Promise<void> {
    await this.#storage.deleteValue(JOB_PREFIX + jobId);
    await this.#storage.deleteValue(SEEN_PREFIX + jobId);
    await this.#storage.setValue(REGISTRY_KEY, "changed");
    await this.reload();
  }

  async #registerOne(job: Registration): Promise<boolean> {
    const value = JSON.stringify(job);
    for (;;) {
      const stored = await this.#storage.getValue(JOB_PREFIX + job.id);
      if (stored?.value === value) return false;
      // During a rolling deploy the old version must not take the place of the new one.
      if (
        stored !== undefined &&
        compareVersions((JSON.parse(stored.value) as Registration).version, job.version) > 0
      ) {
        return false;
      }
      const written = await this.#storage.setValue(
        JOB_PREFIX + job.id,
        value,
        stored?.version ?? 0,
      );
      if (written.ok) return true;
    }
  }

  async #renew(jobId: string, now: number): Promise<void> {
    const seen = await this.#storage.getValue(SEEN_PREFIX + jobId);
    if (seen !== undefined && now - Number(seen.value) < RENEW_AFTER_MS) return;
    await this.#storage.setValue(SEEN_PREFIX + jobId, String(now));
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
    hooks,
  };
}
