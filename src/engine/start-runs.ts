import { fingerprintOf } from "../core/derived-id.js";
import { ConfigError, PayloadError, RunError, StorageError } from "../core/errors.js";
import type { InvokeOptions } from "../core/io.js";
import type { AnyJob } from "../core/job.js";
import { assertPriority } from "../core/job-options.js";
import { assertText } from "../core/key.js";
import { assertBoolean, assertOptions, describe } from "../core/options.js";
import type { CreatedRun, CreateResult, NewRun, ValueWrite } from "../core/storage.js";
import {
  type Admission,
  type Admitted,
  admitText,
  checkedTags,
  maxDurationMsOf,
} from "./admission.js";
import { whenAtHand } from "./at-hand.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";
import { invokeTimes, keyExpiry } from "./invoke-times.js";
import { encodeMeta, type RunMeta } from "./run-meta.js";

export const invokeOptionNames = [
  "idempotencyKey",
  "idempotencyKeyTTL",
  "delay",
  "runAt",
  "priority",
  "tags",
  "accountId",
  "context",
  "isTest",
  "ttl",
];

export interface RunIdentity {
  readonly id: string;
  readonly parentId?: string;
  readonly parentPath?: string;
}

/**
 * A run to be made by an invoke. Everything that can be wrong is found here,
 * before anything is stored. Nearly always all that it needs is at hand, and
 * then so is the answer: an `await` of what is no promise would cost a turn,
 * and a synchronous transaction cannot wait.
 */
export function newInvokedRun(
  engine: Engine,
  target: AnyJob | string,
  payload: unknown,
  options: InvokeOptions,
  identity: RunIdentity,
): NewRun | Promise<NewRun> {
  assertOptions(options, invokeOptionNames, "invoke");
  const resolving = knownJob(engine, target) ?? registeredJob(engine, target);
  return whenAtHand(resolving, (job) => {
    const now = engine.storeClock.now();
    const encoding = encodeValue(engine, payload, `payload of job "${job.id}"`);
    return whenAtHand(encoding, (text) =>
      whenAtHand(
        job.definition === undefined ? notAdmitted : admitInvoke(engine, job.definition, text),
        (admission) => invokedRun(engine, options, { job, text, admission, now, identity }),
      ),
    );
  });
}

interface InvokeParts {
  readonly job: ResolvedJob;
  readonly text: string;
  readonly admission: Pick<Admitted, "admitted" | "tags" | "limitKeys"> | typeof notAdmitted;
  readonly now: number;
  readonly identity: RunIdentity;
}

function invokedRun(
  engine: Engine,
  options: InvokeOptions,
  { job, text, admission, now, identity }: InvokeParts,
): NewRun | Promise<NewRun> {
  if (options.priority !== undefined) assertPriority(options.priority, "invoke");
  if (options.isTest !== undefined) assertBoolean(options.isTest, "isTest of invoke");
  const { wakeAt, deadlineAt } = invokeTimes(options, now);
  const key = idempotency(options, text, now);
  const run: NewRun = {
    id: identity.id,
    jobId: job.id,
    version: job.version,
    status: "PENDING",
    payload: text,
    admitted: admission.admitted,
    wakeAt,
    priority: options.priority ?? job.priority,
    limitKeys: admission.limitKeys,
    tags:
      options.tags === undefined
        ? admission.tags
        : [...admission.tags, ...checkedTags(options.tags)],
    deadlineAt,
    maxDurationMs: job.maxDurationMs,
    parentId: identity.parentId ?? null,
    parentPath: identity.parentPath ?? null,
    idempotencyKey: key.idempotencyKey,
    idempotencyExpiresAt: key.idempotencyExpiresAt,
    fingerprint: key.fingerprint,
    isTest: options.isTest ?? false,
    meta: null,
  };
  if (!hasMeta(options)) return run;
  return whenAtHand(metaOf(engine, options, deadlineAt), (meta) => ({ ...run, meta }));
}

/** The first claimer that has the job's code decides. */
const notAdmitted = { admitted: null, tags: [], limitKeys: [] } as const;

interface ResolvedJob {
  readonly id: string;
  readonly version: string;
  readonly enabled: boolean;
  readonly maxDurationMs: number | null;
  readonly priority: number;
  /** Absent in a process without the job's code: the first claimer admits. */
  readonly definition: AnyJob | undefined;
}

/** @throws ConfigError JOB_UNKNOWN, JOB_DISABLED */
export async function resolveJob(engine: Engine, target: AnyJob | string): Promise<ResolvedJob> {
  return knownJob(engine, target) ?? (await registeredJob(engine, target));
}

/** A job of this client. */
function knownJob(engine: Engine, target: AnyJob | string): ResolvedJob | undefined {
  const definition = engine.jobs.get(idOf(target));
  if (definition === undefined) return undefined;
  assertEnabled(definition);
  return {
    id: definition.id,
    version: definition.version,
    enabled: definition.enabled,
    maxDurationMs: maxDurationMsOf(definition),
    priority: definition.options.priority ?? 0,
    definition,
  };
}

function idOf(target: AnyJob | string): string {
  const id = typeof target === "string" ? target : target?.id;
  if (typeof id === "string") return id;
  throw new ConfigError(
    "OPTION_INVALID",
    `invoke takes a job or its id first, got ${describe(target)}.`,
  );
}

/** A job that only other processes of this storage have. */
async function registeredJob(engine: Engine, target: AnyJob | string): Promise<ResolvedJob> {
  const id = idOf(target);
  const { patience, registry } = engine;
  // Patient, since a run that invokes must not fail while the storage is away.
  await patience.until(() => registry.ensureLoaded(engine.storeClock.now()));
  if (registry.get(id) === undefined) await patience.until(() => registry.reload());
  const registered = engine.registry.get(id);
  if (registered === undefined) {
    const known = [
      ...new Set([...engine.jobs.all().map((job) => job.id), ...engine.registry.ids()]),
    ];
    throw new ConfigError(
      "JOB_UNKNOWN",
      `No process has registered a job "${id}" in this storage. ${known.length === 0 ? "None is registered yet." : `Known jobs: ${known.slice(0, 20).join(", ")}.`} Attach it to this client, or start the worker that has it.`,
    );
  }
  assertEnabled(registered);
  return { ...registered, definition: undefined };
}

function assertEnabled(job: { readonly id: string; readonly enabled: boolean }): void {
  if (job.enabled) return;
  throw new ConfigError(
    "JOB_DISABLED",
    `Job "${job.id}" is disabled: no new runs. Set enabled: true to start some.`,
  );
}

/** An invoke answers a bad payload with an error; nothing is stored. */
export function admitInvoke(
  engine: Engine,
  job: AnyJob,
  text: string,
): Admitted | Promise<Admitted> {
  const admitting = admitText(engine, job, text);
  return admitting instanceof Promise
    ? admitting.then((admission) => admittedOrThrow(job, admission))
    : admittedOrThrow(job, admitting);
}

function admittedOrThrow(job: AnyJob, admission: Admission): Admitted {
  if (admission.ok) return admission;
  throw payloadInvalid(job.id, admission.issues);
}

export function payloadInvalid(jobId: string, issues: PayloadError["issues"]): PayloadError {
  const [first] = issues;
  const where =
    first === undefined ? "" : ` ${first.path.join(".") || "payload"}: ${first.message}`;
  return new PayloadError(
    "PAYLOAD_INVALID",
    `The payload does not fit the schema of job "${jobId}".${where}${issues.length > 1 ? ` (and ${issues.length - 1} more, see issues)` : ""}`,
    { details: { issues: issues.map(({ path, message }) => ({ path, message })) } },
  );
}

function hasMeta({ accountId, context, ttl }: InvokeOptions): boolean {
  return accountId !== undefined || context !== undefined || ttl !== undefined;
}

function metaOf(
  engine: Engine,
  { accountId, context }: InvokeOptions,
  expiresAt: number | null,
): string | null | Promise<string | null> {
  if (accountId !== undefined) assertText(accountId, "accountId of invoke");
  const meta: RunMeta = {
    ...(expiresAt === null ? undefined : { expiresAt }),
    ...(accountId === undefined ? undefined : { accountId }),
  };
  if (context === undefined) return encodeMeta(meta);
  const encoding = encodeValue(engine, context, "context of invoke");
  return whenAtHand(encoding, (eventContext) => encodeMeta({ ...meta, eventContext }));
}

type Idempotency = Pick<NewRun, "idempotencyKey" | "idempotencyExpiresAt" | "fingerprint">;

const noKey: Idempotency = { idempotencyKey: null, idempotencyExpiresAt: null, fingerprint: null };

function idempotency(options: InvokeOptions, payload: string, now: number): Idempotency {
  const { idempotencyKey } = options;
  const idempotencyExpiresAt = keyExpiry(options, now);
  if (idempotencyKey === undefined) return noKey;
  assertText(idempotencyKey, "idempotencyKey", { maxBytes: 512 });
  return { idempotencyKey, idempotencyExpiresAt, fingerprint: fingerprintOf(payload) };
}

/** Creates a run by itself, or finds the one that has its idempotency key. */
export async function createKeyedRun(engine: Engine, run: NewRun): Promise<CreatedRun> {
  const { result, made } = await create(engine, run, []);
  if (made === undefined) throw createRefused(result);
  return made;
}

/** The same, together with values; undefined if one of them has moved on. */
export async function tryCreate(
  engine: Engine,
  run: NewRun,
  values: readonly ValueWrite[],
): Promise<CreatedRun | undefined> {
  const { result, made } = await create(engine, run, values);
  if (made === undefined && result.result !== "conflict") throw createRefused(result);
  return made;
}

async function create(engine: Engine, run: NewRun, values: readonly ValueWrite[]) {
  const result = await engine.queue.create({
    createId: engine.writeIds.next(),
    groups: [{ first: run }],
    ...(values.length === 0 ? undefined : { values }),
  });
  const made = result.result === "ok" ? result.groups[0]?.first : undefined;
  if (made !== undefined) assertSamePayload(run, made);
  return { result, made };
}

/** @throws RunError IDEMPOTENCY_CONFLICT */
export function assertSamePayload(run: NewRun, { created, id, fingerprint }: CreatedRun): void {
  if (created || typeof run.fingerprint !== "string" || fingerprint === run.fingerprint) return;
  throw new RunError(
    "IDEMPOTENCY_CONFLICT",
    `The idempotency key ${describe(run.idempotencyKey)} of job "${run.jobId}" belongs to run ${id}, which has another payload. Use another key for another payload.`,
    { details: { runId: id } },
  );
}

export function createRefused(result: CreateResult): StorageError {
  const reason = result.result === "rejected" ? result.reason : `the answer was "${result.result}"`;
  return new StorageError(
    "STORAGE_FAILED",
    `The storage did not take the new run: ${reason}. Nothing was stored.`,
    {
      cause: result.result === "rejected" ? result.cause : undefined,
    },
  );
}
