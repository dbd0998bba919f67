import { durationOfAtLeast } from "./duration.js";
import { ConfigError } from "./errors.js";
import { checkFlow, flowRules } from "./flow.js";
import { ioKeys } from "./io.js";
import { assertText } from "./key.js";
import { assertGivenOptions, assertInteger, describe } from "./options.js";
import { type RetryOptions, resolveRetry } from "./retry.js";

const jobOptionNames = [
  "id",
  "trigger",
  "name",
  "version",
  "integrations",
  "enabled",
  "concurrencyLimit",
  ...flowRules,
  "retry",
  "maxDuration",
  "maxExecutionsWithoutProgress",
  "logLevel",
  "priority",
  "tags",
  "onStart",
  "onSuccess",
  "onFailure",
  "onCancel",
  "run",
];

interface UncheckedJob {
  readonly id: unknown;
  readonly trigger: unknown;
  readonly run: unknown;
  readonly name?: unknown;
  readonly enabled?: unknown;
  readonly onStart?: unknown;
  readonly onSuccess?: unknown;
  readonly onFailure?: unknown;
  readonly onCancel?: unknown;
  readonly version?: unknown;
  readonly integrations?: object;
  readonly concurrencyLimit?: unknown;
  readonly debounce?: unknown;
  readonly rateLimit?: unknown;
  readonly singleton?: unknown;
  readonly throttle?: unknown;
  readonly retry?: RetryOptions;
  readonly maxDuration?: unknown;
  readonly maxExecutionsWithoutProgress?: unknown;
  readonly logLevel?: unknown;
  readonly priority?: unknown;
  readonly tags?: unknown;
}

/** Throws at the definition what would otherwise be found out by a run. */
export function checkJobOptions(options: UncheckedJob): void {
  assertGivenOptions(options, jobOptionNames, "defineJob");
  assertJobId(options.id);
  const where = `Job "${options.id}"`;
  if (typeof options.run !== "function") {
    throw new ConfigError(
      "OPTION_INVALID",
      `${where} needs a run function, got ${describe(options.run)}.`,
    );
  }
  checkTrigger(options.trigger, where);
  checkVersion(options.version, where);
  checkKinds(options, where);
  checkLimit(options.concurrencyLimit, where);
  checkFlow(options, where);
  if (options.retry !== undefined) resolveRetry(options.retry);
  if (options.maxDuration !== undefined) {
    durationOfAtLeast(1, options.maxDuration as number, `maxDuration of ${where}`);
  }
  if (options.maxExecutionsWithoutProgress !== undefined) {
    assertInteger(
      options.maxExecutionsWithoutProgress,
      `maxExecutionsWithoutProgress of ${where}`,
      { min: 1 },
    );
  }
  if (options.priority !== undefined) assertPriority(options.priority, where);
  if (options.logLevel !== undefined) assertLogLevel(options.logLevel, where);
  checkIntegrations(options.integrations ?? {}, where);
}

/** Throws OPTION_INVALID for what is no definition. */
export function assertJob(job: { readonly options?: { readonly run?: unknown } }): void {
  if (typeof job?.options?.run === "function") return;
  throw new ConfigError(
    "OPTION_INVALID",
    `attach and createClient({ jobs }) take what defineJob gives, got ${describe(job)}.`,
  );
}

export function assertJobId(id: unknown): asserts id is string {
  if (typeof id === "string" && /^[A-Za-z0-9._~-]{1,128}$/.test(id)) return;
  throw new ConfigError(
    "JOB_ID_INVALID",
    `A job id has 1 to 128 characters of A-Z a-z 0-9 . _ ~ -, got ${describe(id)}.`,
  );
}

export function assertPriority(priority: unknown, where: string): asserts priority is number {
  assertInteger(priority, `priority of ${where}`, { min: -1000, max: 1000 });
}

export function assertLogLevel(level: unknown, where: string): void {
  if (["debug", "info", "log", "warn", "error"].includes(String(level))) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `logLevel of ${where} is ${describe(level)}. Use debug, info, log, warn or error.`,
  );
}

/** -1, 0 or 1. Versions are compared number by number: 1.0.10 is newer than 1.0.9. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let part = 0; part < 3; part++) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function checkTrigger(trigger: unknown, where: string): void {
  if (typeof trigger === "object" && trigger !== null && "data" in trigger) return;
  throw new ConfigError(
    "TRIGGER_INVALID",
    `${where} needs a trigger, got ${describe(trigger)}. Use eventTrigger({ name }) or invokeTrigger().`,
  );
}

function checkKinds(options: UncheckedJob, where: string): void {
  if (options.name !== undefined) assertText(options.name as string, `name of ${where}`);
  for (const name of ["onStart", "onSuccess", "onFailure", "onCancel"] as const)
    assertKind(options[name], `${name} of ${where}`, "a function");
  assertKind(options.enabled, `enabled of ${where}`, "a boolean");
  if (Array.isArray(options.tags))
    for (const tag of options.tags) assertText(tag, `tag of ${where}`);
  else assertKind(options.tags, `tags of ${where}`, "a function", " or an array of strings");
}

function assertKind(
  value: unknown,
  what: string,
  kind: "a function" | "a boolean",
  otherwise = "",
): void {
  if (value === undefined || `a ${typeof value}` === kind) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `${what} must be ${kind}${otherwise}, got ${describe(value)}.`,
  );
}

function checkVersion(version: unknown, where: string): void {
  if (version === undefined || (typeof version === "string" && /^\d+\.\d+\.\d+$/.test(version)))
    return;
  throw new ConfigError(
    "VERSION_INVALID",
    `version of ${where} is ${describe(version)}. Write it as x.y.z, like "1.0.0".`,
  );
}

function checkLimit(limit: unknown, where: string): void {
  if (limit === undefined) return;
  const what = `concurrencyLimit of ${where}`;
  if (typeof limit !== "object" || limit === null) {
    assertInteger(limit, what, { min: 1 });
    return;
  }
  const { id, limit: number, key } = limit as { id?: unknown; limit?: unknown; key?: unknown };
  assertInteger(number, what, { min: 1 });
  if (id !== undefined) assertText(id as string, `id of the ${what}`);
  else if (typeof key !== "function") {
    throw new ConfigError(
      "OPTION_INVALID",
      `${what} needs an id (a shared limit) or a key function.`,
    );
  }
}

function checkIntegrations(integrations: object, where: string): void {
  for (const [key, integration] of Object.entries<unknown>({ ...integrations })) {
    if ((ioKeys as readonly string[]).includes(key)) {
      throw new ConfigError(
        "INTEGRATION_KEY_RESERVED",
        `${where} has an integration under the key "${key}", which io has already. Choose another key.`,
      );
    }
    if (typeof (integration as { cloneForRun?: unknown } | null)?.cloneForRun === "function")
      continue;
    throw new ConfigError(
      "OPTION_INVALID",
      `integrations.${key} of ${where} is ${describe(integration)}, which is no integration. Pass what createIntegration gives, or an object with cloneForRun.`,
    );
  }
}
