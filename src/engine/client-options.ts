import type { Clock } from "../core/clock.js";
import type { Codec } from "../core/codec.js";
import type { Environment, Organization, Project } from "../core/context.js";
import { ConfigError, StorageError } from "../core/errors.js";
import type { FetchFunction } from "../core/http.js";
import type { AnyJob, LogLevel } from "../core/job.js";
import { assertLogLevel } from "../core/job-options.js";
import { assertText } from "../core/key.js";
import {
  assertBoolean,
  assertFunction,
  assertInteger,
  assertOptions,
  describe,
} from "../core/options.js";
import { type RetryOptions, resolveRetry } from "../core/retry.js";
import { SPEC_VERSION, type Storage } from "../core/storage.js";
import { checkedTokenUrls } from "../core/token-url.js";
import type { Caps } from "./engine.js";

export interface ClientOptions<Tx = unknown> {
  /** Names the app. Two live clients with one id in one process may not define the same job; see `reload`. */
  readonly id?: string;
  /** Default: `memory()`, which keeps nothing when the process ends. */
  readonly storage?: Storage<Tx>;
  readonly jobs?: readonly AnyJob[];
  readonly environment?: Environment;
  readonly organization?: Organization;
  readonly project?: Project;
  /** Executions at a time in this process. Default 100. */
  readonly concurrency?: number;
  /** Default for every task. */
  readonly retry?: RetryOptions;
  /** Log lines below it are neither stored nor printed. Default "info". */
  readonly logLevel?: LogLevel;
  readonly codec?: Codec;
  /** How `backgroundFetch` and `backgroundPoll` send requests, `safeFetch()` for instance. Default: `globalThis.fetch`. */
  readonly fetch?: FetchFunction;
  /** Engine trouble: storage failures, throwing hooks and listeners. Default: a line on stderr. */
  readonly onError?: (error: unknown) => void;
  /** How long a worker that died holds its runs. Default 30,000. */
  readonly leaseMs?: number;
  /** Longest time between two looks for due runs while there are no hints. Default 1,000. */
  readonly pollMs?: number;
  /** An execution gives way before this time is over, and the run goes on in a new one. Default: none. */
  readonly executionLimitMs?: number;
  /** Parked executions kept in memory; 0: always replay. Default 1000. */
  readonly maxParked?: number;
  /** false: this process ticks no schedules, in development say. They can be listed and fired by hand. Default true. */
  readonly schedules?: boolean;
  /** Where the app's route for `token.url` can be reached from outside: an absolute URL, to which `/tokens/<id>?signature=…` is added. */
  readonly publicUrl?: string;
  /** Sign the URLs of tokens: at least 24 random bytes each. The first signs, all are accepted, so that one can be replaced. */
  readonly secrets?: readonly string[];
  readonly caps?: Partial<Caps>;
  /** Hot reload: stops the earlier client with this id in this process and takes its place. */
  readonly reload?: boolean;
  /** For tests. */
  readonly clock?: Clock;
}

const optionNames = [
  "id",
  "storage",
  "jobs",
  "environment",
  "organization",
  "project",
  "concurrency",
  "retry",
  "logLevel",
  "codec",
  "fetch",
  "onError",
  "leaseMs",
  "pollMs",
  "executionLimitMs",
  "maxParked",
  "schedules",
  "publicUrl",
  "secrets",
  "caps",
  "reload",
  "clock",
];

export function checkClientOptions(options: ClientOptions): void {
  assertOptions(options, optionNames, "createClient");
  if (options.id !== undefined) assertText(options.id, "id of createClient");
  if (options.storage !== undefined) checkStorage(options.storage);
  if (options.reload !== undefined) assertBoolean(options.reload, "reload of createClient");
  if (options.reload === true && options.id === undefined) {
    throw new ConfigError(
      "OPTION_INVALID",
      "createClient({ reload: true }) needs an id, by which the earlier client is found.",
    );
  }
  for (const name of ["concurrency", "leaseMs", "pollMs", "executionLimitMs"] as const) {
    if (options[name] !== undefined)
      assertInteger(options[name], `${name} of createClient`, { min: 1 });
  }
  if (options.maxParked !== undefined)
    assertInteger(options.maxParked, "maxParked of createClient", { min: 0 });
  if (options.schedules !== undefined)
    assertBoolean(options.schedules, "schedules of createClient");
  if (options.logLevel !== undefined) assertLogLevel(options.logLevel, "createClient");
  if (options.retry !== undefined) resolveRetry(options.retry);
  checkedTokenUrls(options.publicUrl, options.secrets, "createClient");
  checkSurroundings(options);
  for (const name of ["fetch", "onError"] as const)
    if (options[name] !== undefined) assertFunction(options[name], `${name} of createClient`);
  checkMethods(options.codec, "codec", ["encode", "decode"]);
  checkMethods(options.clock, "clock", ["now", "monotonic", "setTimer"]);
  assertOptions(
    options.caps,
    ["taskOutputBytes", "storeValueBytes", "tasksPerRun", "errorMessageBytes", "errorStackBytes"],
    "caps of createClient",
  );
  for (const [name, cap] of Object.entries(options.caps ?? {}))
    assertInteger(cap, `caps.${name} of createClient`, { min: 1 });
  if (options.jobs !== undefined && !Array.isArray(options.jobs)) {
    throw new ConfigError(
      "OPTION_INVALID",
      `jobs of createClient must be an array, got ${describe(options.jobs)}.`,
    );
  }
}

const surroundings = {
  environment: ["id", "slug", "type"],
  organization: ["id", "slug", "title"],
  project: ["id", "slug", "name"],
} as const;

function checkSurroundings(options: ClientOptions): void {
  for (const name of ["environment", "organization", "project"] as const) {
    const given: Readonly<Record<string, unknown>> | undefined = options[name] as undefined;
    if (given === undefined) continue;
    const fields = surroundings[name];
    assertOptions(given, fields, `${name} of createClient`);
    for (const field of fields)
      assertText(given[field] as string, `${name}.${field} of createClient`);
  }
}

function checkMethods(given: unknown, option: string, methods: readonly string[]): void {
  if (given === undefined) return;
  const has = (method: string) =>
    typeof (given as Readonly<Record<string, unknown>> | null)?.[method] === "function";
  if (methods.every(has)) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `${option} of createClient needs the functions ${methods.join(", ")}, got ${describe(given)}.`,
  );
}

function checkStorage(storage: unknown): void {
  const candidate =
    typeof storage === "object" && storage !== null ? (storage as Partial<Storage>) : {};
  if (typeof candidate.commit !== "function" || typeof candidate.claimRuns !== "function") {
    throw new StorageError(
      "STORAGE_INVALID",
      `storage of createClient is no storage adapter, got ${describe(storage)}. Pass memory(), sqlite("file.db") or an adapter of your own.`,
    );
  }
  if (candidate.specVersion !== SPEC_VERSION) {
    throw new StorageError(
      "STORAGE_INVALID",
      `The storage adapter "${candidate.name}" follows contract version ${candidate.specVersion}, this library ${SPEC_VERSION}. Install versions that fit.`,
    );
  }
}
