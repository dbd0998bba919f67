import { ConfigError } from "../core/errors.js";
import type { AnyJob } from "../core/job.js";

/** The jobs of one client, by id. */
export class JobTable {
  readonly #jobs = new Map<string, AnyJob>();
  #changed = true;

  add(job: AnyJob): void {
    if (this.#jobs.has(job.id)) {
      throw new ConfigError(
        "JOB_DUPLICATE",
        `This client has a job "${job.id}" already. Give each job an id of its own; if a module is evaluated again by hot reload, use createClient({ id, reload: true }).`,
        { details: { jobId: job.id } },
      );
    }
    this.#jobs.set(job.id, job);
    this.#changed = true;
  }

  get(id: string): AnyJob | undefined {
    return this.#jobs.get(id);
  }

  all(): AnyJob[] {
    return [...this.#jobs.values()];
  }

  /** True once after jobs were added: they have to be registered in the storage. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed && this.#jobs.size > 0;
  }

  registrationFailed(): void {
    this.#changed = true;
  }
}
