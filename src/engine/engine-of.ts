import { defaultCodec } from "../core/codec.js";
import { defaultSurroundings } from "../core/context.js";
import type { Storage } from "../core/storage.js";
import { checkedTokenUrls } from "../core/token-url.js";
import type { ClientOptions } from "./client-options.js";
import { Emitter } from "./emitter.js";
import { defaultCaps, Engine } from "./engine.js";
import { JobTable } from "./job-table.js";
import { systemClock } from "./system-clock.js";

/** The engine of a client: its options with their defaults. */
export function engineOf(options: ClientOptions, storage: Storage): Engine {
  const output = (line: string) => console.error(line);
  const onTrouble = options.onError ?? ((error: unknown) => output(`pawl: ${textOf(error)}`));
  return new Engine({
    storage,
    clock: options.clock ?? systemClock,
    codec: options.codec ?? defaultCodec,
    // Looked up at each call: tests and tracing replace the global one.
    fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
    leaseMs: options.leaseMs ?? 30_000,
    pollMs: options.pollMs ?? 1_000,
    maxParked: options.maxParked ?? 1_000,
    executionLimitMs: options.executionLimitMs,
    ticksSchedules: options.schedules ?? true,
    retry: options.retry,
    logLevel: options.logLevel ?? "info",
    tokenUrls: checkedTokenUrls(options.publicUrl, options.secrets, "createClient"),
    caps: { ...defaultCaps, ...options.caps },
    surroundings: {
      environment: options.environment ?? defaultSurroundings.environment,
      organization: options.organization ?? defaultSurroundings.organization,
      project: options.project ?? defaultSurroundings.project,
    },
    jobs: new JobTable(),
    emitter: new Emitter(onTrouble),
    onTrouble,
    output,
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
