import { durationMs } from "../core/duration.js";
import type { PayloadIssue } from "../core/errors.js";
import { ConfigError } from "../core/errors.js";
import type { AnyJob } from "../core/job.js";
import { assertText } from "../core/key.js";
import { type ParseResult, parseWith } from "../core/schema.js";
import type { Storage } from "../core/storage.js";
import { whenAtHand } from "./at-hand.js";
import { encodeValue } from "./encode.js";
import { admittedText, type Engine, SAME_AS_PAYLOAD } from "./engine.js";

/** What a job makes of a payload, decided once per run (contract E1). */
export type Admission = Admitted | { readonly ok: false; readonly issues: readonly PayloadIssue[] };

export interface Admitted {
  readonly ok: true;
  readonly admitted: string;
  readonly tags: readonly string[];
  readonly limitKeys: readonly string[];
}

/** Decides on a payload as it is stored: what a job sees of it has always passed through the codec. */
export function admitText(
  engine: Engine,
  job: AnyJob,
  text: string,
): Admission | Promise<Admission> {
  if (!looksAtPayload(job)) return admittedAs(SAME_AS_PAYLOAD, job, undefined);
  return whenAtHand(engine.codec.decode(text), (payload) => admit(engine, job, payload));
}

function looksAtPayload({ trigger, options }: AnyJob): boolean {
  const { tags, concurrencyLimit } = options;
  return (
    trigger.schema !== undefined ||
    typeof tags === "function" ||
    (typeof concurrencyLimit === "object" && "key" in concurrencyLimit)
  );
}

function admit(engine: Engine, job: AnyJob, payload: unknown): Admission | Promise<Admission> {
  const { schema } = job.trigger;
  if (schema === undefined) return admittedAs(SAME_AS_PAYLOAD, job, payload);
  return whenAtHand<ParseResult, Admission>(parseWith(schema, payload), (parsed) => {
    if (!parsed.ok) return { ok: false, issues: parsed.issues };
    const encoding = encodeValue(engine, parsed.value, "parsed payload");
    return whenAtHand(encoding, (text) => admittedAs(admittedText(text), job, parsed.value));
  });
}

function admittedAs(admitted: string, job: AnyJob, payload: unknown): Admitted {
  const { tags = noTags } = job.options;
  return {
    ok: true,
    admitted,
    tags: checkedTags(typeof tags === "function" ? tags(payload) : tags),
    limitKeys: limitKeysOf(job, payload),
  };
}

const noTags: readonly string[] = [];

export function checkedTags(tags: readonly string[]): readonly string[] {
  if (!Array.isArray(tags))
    throw new ConfigError("OPTION_INVALID", "tags must be an array of strings.");
  for (const tag of tags) assertText(tag, "tag");
  return tags;
}

/** `<limit id>/<value>`: an id has no "/", so the first one separates. */
function limitKeysOf(job: AnyJob, payload: unknown): readonly string[] {
  const limit = job.options.concurrencyLimit;
  if (limit === undefined) return [];
  if (typeof limit === "number") return [`job:${job.id}/`];
  if ("id" in limit) return [`shared:${encodeURIComponent(limit.id)}/`];
  const value: unknown = limit.key(payload);
  if (typeof value !== "string") {
    throw new ConfigError(
      "OPTION_INVALID",
      `concurrencyLimit.key of job "${job.id}" must give a string, got ${typeof value}.`,
    );
  }
  assertText(value, `concurrencyLimit.key of job "${job.id}"`);
  return [`key:${job.id}/${value}`];
}

/** A limit that nobody keeps would be worse than none. */
export function assertLimitIsKept(job: AnyJob, storage: Storage): void {
  if (job.options.concurrencyLimit === undefined || storage.capabilities.limits) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `Job "${job.id}" has a concurrencyLimit, and the storage adapter "${storage.name}" keeps none (capabilities.limits is false). Leave the limit out, or use another adapter.`,
  );
}

/** The limits that these jobs name, by limit id, for the claim. */
export function limitsOf(jobs: readonly AnyJob[]): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const job of jobs) {
    const limit = job.options.concurrencyLimit;
    if (limit === undefined) continue;
    if (typeof limit === "number") limits[`job:${job.id}`] = limit;
    else if ("id" in limit) limits[`shared:${encodeURIComponent(limit.id)}`] = limit.limit;
    else limits[`key:${job.id}`] = limit.limit;
  }
  return limits;
}

export function maxDurationMsOf(job: AnyJob): number | null {
  const { maxDuration } = job.options;
  return maxDuration === undefined
    ? null
    : durationMs(maxDuration, `maxDuration of job "${job.id}"`);
}
