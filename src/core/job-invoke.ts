import { ConfigError, TaskError } from "./errors.js";

/**
 * How a job finds the engine without importing it. Both live on globalThis,
 * since a bundler or a hot reload may evaluate the library twice in one process.
 */
interface JobInvoker {
  invoke(job: object, payload: unknown, options: unknown): Promise<unknown>;
}

interface CurrentIo {
  invoke(...args: unknown[]): Promise<unknown>;
  invokeAndWait(...args: unknown[]): Promise<unknown>;
  batchInvokeAndWait(...args: unknown[]): Promise<unknown>;
}

interface Shared {
  readonly invokers: WeakMap<object, Set<JobInvoker>>;
  /** Set by the engine: the io of the execution this code runs in, if any. */
  currentIo?: () => CurrentIo | undefined;
}

const SHARED = Symbol.for("pawl.job-invoke");

function shared(): Shared {
  const host = globalThis as { [SHARED]?: Shared };
  host[SHARED] ??= { invokers: new WeakMap() };
  return host[SHARED];
}

/** A client that has the job says so; answers the function that takes it back. */
export function offerInvoker(job: object, invoker: JobInvoker): () => void {
  const { invokers } = shared();
  const offered = invokers.get(job) ?? new Set();
  offered.add(invoker);
  invokers.set(job, offered);
  return () => offered.delete(invoker);
}

export function offerCurrentIo(currentIo: () => CurrentIo | undefined): void {
  shared().currentIo = currentIo;
}

export async function invokeFromJob(
  job: { readonly id: string },
  args: readonly unknown[],
): Promise<unknown> {
  const io = shared().currentIo?.();
  if (io === undefined) return soleInvoker(job).invoke(job, args[0], args[1]);
  if (!isKey(args[0]) || args.length < 2) throw keyRequired(job.id, "invoke");
  return io.invoke(args[0], job, args[1], args[2]);
}

export async function invokeAndWaitFromJob(
  job: { readonly id: string },
  method: "invokeAndWait" | "batchInvokeAndWait",
  args: readonly unknown[],
): Promise<unknown> {
  const io = shared().currentIo?.();
  if (io === undefined) {
    throw new TaskError(
      "INVOKE_KEY_REQUIRED",
      `${method} of job "${job.id}" works only inside a run, where the parent can park. Outside, use client.invoke and client.waitForRun.`,
    );
  }
  if (!isKey(args[0])) throw keyRequired(job.id, method);
  return io[method](args[0], job, args[1], args[2]);
}

function isKey(value: unknown): boolean {
  return typeof value === "string" || Array.isArray(value);
}

function keyRequired(jobId: string, method: string): TaskError {
  return new TaskError(
    "INVOKE_KEY_REQUIRED",
    `Inside a run, ${method} of job "${jobId}" takes a key first: job.${method}("some-key", payload, options).`,
  );
}

function soleInvoker(job: { readonly id: string }): JobInvoker {
  const [first, ...others] = shared().invokers.get(job) ?? [];
  if (first === undefined) {
    throw new ConfigError(
      "JOB_NOT_ATTACHED",
      `Job "${job.id}" is attached to no client. Pass it to createClient({ jobs }) or client.attach(job).`,
    );
  }
  if (others.length > 0) {
    throw new ConfigError(
      "JOB_AMBIGUOUS",
      `Job "${job.id}" is attached to ${others.length + 1} clients. Say which one: client.invoke(job, payload).`,
    );
  }
  return first;
}
