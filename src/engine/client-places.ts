import { ConfigError } from "../core/errors.js";

interface Placed {
  readonly id: string | undefined;
  hasJob(jobId: string): boolean;
  stop(): Promise<void>;
}

// On globalThis: the reloaded module, or a second copy of the library, must find the earlier client.
const PLACES = Symbol.for("pawl.clients");

function placesOf(id: string): Set<Placed> {
  const host = globalThis as { [PLACES]?: Map<string, Set<Placed>> };
  host[PLACES] ??= new Map();
  const places = host[PLACES].get(id) ?? new Set();
  host[PLACES].set(id, places);
  return places;
}

/** Enters a client among those of its id in this process; with `reload` it is the only one from now on. */
export function takePlace(client: Placed, reload: boolean): void {
  if (client.id === undefined) return;
  const places = placesOf(client.id);
  if (reload) {
    // The new client does not wait: what the old one still does is recorded, or fenced and done again.
    for (const earlier of places) void earlier.stop().catch(() => {});
    places.clear();
  }
  places.add(client);
}

export function leavePlace(client: Placed): void {
  if (client.id !== undefined) placesOf(client.id).delete(client);
}

/** Throws JOB_DUPLICATE if another live client of this id in this process has the job. */
export function assertJobIsNew(client: Placed, jobId: string): void {
  if (client.id === undefined) return;
  for (const other of placesOf(client.id)) {
    if (other === client || !other.hasJob(jobId)) continue;
    throw new ConfigError(
      "JOB_DUPLICATE",
      `Another client "${client.id}" in this process has a job "${jobId}" already. If the module is evaluated again by hot reload, use createClient({ id: "${client.id}", reload: true }); else stop the other client, or give this one an id of its own.`,
      { details: { jobId, clientId: client.id } },
    );
  }
}
