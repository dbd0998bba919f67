import type { Integration, Integrations } from "../core/integration.js";
import { type Io, ioKeys, type Task } from "../core/io.js";
import type { AnyJob } from "../core/job.js";
import { childPath, type Key } from "../core/key.js";
import { currentScope } from "../engine/async-context.js";

/** Results by key path; a function is called in place of the task's callback. */
export type Mocks = Readonly<Record<string, unknown>>;

type Call = (...args: unknown[]) => unknown;

/** A copy of the job in which mocked calls answer what the test says. */
export function withMocks(job: AnyJob, mocks: Mocks): AnyJob {
  if (Object.keys(mocks).length === 0) return job;
  const { options } = job;
  return {
    ...job,
    options: {
      ...options,
      ...(options.integrations === undefined
        ? undefined
        : { integrations: mockedIntegrations(options.integrations, mocks) }),
      run: (payload, io, context) => options.run(payload, mockedIo(io, mocks), context),
    },
  };
}

/** Integrations make their tasks from the io they are handed. */
function mockedIntegrations(integrations: Integrations, mocks: Mocks): Integrations {
  const mocked = (integration: Integration): Integration => ({
    id: integration.id,
    metadata: integration.metadata,
    authSource: integration.authSource,
    cloneForRun: (io, connectionKey, auth) =>
      integration.cloneForRun(mockedIo(io, mocks), connectionKey, auth),
  });
  return Object.fromEntries(
    Object.entries(integrations).map(([key, integration]) => [key, mocked(integration)]),
  );
}

function mockedIo(io: Io, mocks: Mocks): Io {
  return new Proxy(io, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || !callNames.has(name)) return member;
      const call: Call = (...args) =>
        Reflect.apply(
          member,
          target,
          args.map((arg) => inner(arg)),
        );
      if (name === "runTask") return runTask(io, mocks);
      if (!mockable.has(name)) return call;
      return (key: Key, ...rest: unknown[]) => {
        const path = childPath(currentScope()?.path ?? "", key);
        return Object.hasOwn(mocks, path)
          ? answerOf(io, String(name), key, mocks[path])
          : call(key, ...rest);
      };
    },
  });

  /** Callbacks and branches get an io of their own. */
  function inner(arg: unknown): unknown {
    if (typeof arg === "function") return (...given: unknown[]) => arg(...given.map(wrapIo));
    return isBranches(arg)
      ? Object.fromEntries(Object.entries(arg).map(([name, branch]) => [name, inner(branch)]))
      : arg;
  }

  function wrapIo(given: unknown): unknown {
    return isIo(given) ? mockedIo(given, mocks) : given;
  }
}

/** The rest are integrations. */
const callNames: ReadonlySet<string | symbol> = new Set(ioKeys);

const mockable: ReadonlySet<string | symbol> = new Set([
  "random",
  "now",
  "uuid",
  "invoke",
  "invokeAndWait",
  "batchInvokeAndWait",
  "sendEvent",
  "sendEvents",
  "backgroundFetch",
  "backgroundFetchResponse",
  "backgroundPoll",
]);

/** The task is a real one, with its attempts, retries and records; only its callback is another. */
function runTask(io: Io, mocks: Mocks): Call {
  return (key, callback, options, ...rest) => {
    const replaced = (task: Task, inner: Io, tx: unknown) => {
      const path = task.id.slice(task.id.indexOf("/") + 1);
      if (Object.hasOwn(mocks, path)) return mockedValue(mocks[path], task, inner);
      return (callback as Call)(task, mockedIo(inner, mocks), tx);
    };
    const given = typeof callback === "function" ? replaced : callback;
    const withoutDatabase = withoutTransaction(key as Key, options, mocks);
    return Reflect.apply(io.runTask as Call, io, [key, given, withoutDatabase, ...rest]);
  };
}

/** A mock also stands for the database that the task would write to. */
function withoutTransaction(key: Key, options: unknown, mocks: Mocks): unknown {
  const isAsked = typeof options === "object" && options !== null && "transaction" in options;
  if (!isAsked || !Object.hasOwn(mocks, childPath(currentScope()?.path ?? "", key))) return options;
  return { ...options, transaction: false };
}

function mockedValue(mock: unknown, task: Task, io: Io): unknown {
  return typeof mock === "function" ? mock(task, io) : mock;
}

/** Other calls become a task of that key. A child that is waited for ends as its mock does: well or badly. */
async function answerOf(io: Io, name: string, key: Key, mock: unknown): Promise<unknown> {
  const answer = io.runTask<unknown>(key, (task, inner) => mockedValue(mock, task, inner));
  if (name !== "invokeAndWait") return answer;
  const run = (status: string) => ({ id: `mock:${String(key)}`, jobId: "mock", status });
  try {
    return { ok: true, output: await answer, run: run("COMPLETED") };
  } catch (error) {
    return { ok: false, error, run: run("FAILED") };
  }
}

function isIo(value: unknown): value is Io {
  return typeof value === "object" && value !== null && "runTask" in value && "wait" in value;
}

/** The second argument of `waitForAny`. */
function isBranches(value: unknown): value is Record<string, Call> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const members = Object.values(value);
  return members.length > 0 && members.every((member) => typeof member === "function");
}
