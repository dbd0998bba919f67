import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { runInNewContext } from "node:vm";
import type { Io, OnError, Run, Task, TaskOptions } from "pawl";
import { expect, test } from "vitest";
import { jobOf, takeTurns, turns } from "./drive.js";
import { passingTime } from "./support.js";
import { describeEngine, type World } from "./world.js";

/** What the task does, and the error that its attempt, and the run, must end with. */
interface Misbehaviour {
  readonly title: string;
  readonly callback: (task: Task, io: Io) => unknown;
  readonly fails: object;
  readonly options?: TaskOptions;
  readonly onError?: OnError;
}

const never = () => new Promise<never>(() => {});
const doomed = new Error("of the task");

function throwing(title: string, thrown: () => unknown, fails: object): Misbehaviour {
  return {
    title: `throws ${title}`,
    callback: () => {
      throw thrown();
    },
    fails,
  };
}

function returning(title: string, value: () => unknown, fails: object): Misbehaviour {
  return { title: `returns ${title}`, callback: value, fails };
}

function answering(title: string, onError: OnError, fails: object): Misbehaviour {
  return {
    title: `has an onError that ${title}`,
    callback: () => {
      throw doomed;
    },
    onError,
    fails,
  };
}

const refuses = () => {
  throw new RangeError("no access");
};
const barred = new Proxy({}, { get: refuses, ownKeys: refuses, getPrototypeOf: refuses });

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function withGetters(names: readonly string[]): Error {
  const error = new Error("hidden");
  for (const name of names) Object.defineProperty(error, name, { get: refuses });
  return error;
}

function cyclic(): Error {
  const [outer, inner] = [new Error("outer"), new Error("inner")];
  outer.cause = inner;
  inner.cause = outer;
  return outer;
}

function deep(): Error {
  let error = new Error("innermost");
  for (let depth = 0; depth < 10_000; depth++)
    error = new Error(`level ${depth}`, { cause: error });
  return error;
}

/** A thrown promise, or anything else with `then`, must not be waited for. */
const thenableError = Object.assign(new Error("thenable"), {
  // biome-ignore lint/suspicious/noThenProperty: that is the point
  then: () => {},
});

const thenable = (
  then: (resolve: (value: unknown) => void, reject: (e: unknown) => void) => void,
) => ({ then });

const misbehaviours: readonly Misbehaviour[] = [
  throwing("null", () => null, { name: "NonError", message: "null" }),
  throwing("undefined", () => undefined, { name: "NonError", message: "undefined" }),
  throwing("a string", () => "plain text", { name: "NonError", message: "plain text" }),
  throwing("a symbol", () => Symbol("s"), { name: "NonError", message: "Symbol(s)" }),
  throwing("a function", () => () => {}, { name: "NonError", message: "a function" }),
  throwing("a frozen object", () => Object.freeze({ status: 503 }), {
    name: "NonError",
    message: '{"status":503}',
    status: 503,
  }),
  throwing("a frozen error", () => Object.freeze(new TypeError("frozen")), {
    name: "TypeError",
    message: "frozen",
  }),
  throwing(
    "an error with getters that throw",
    () => withGetters(["stack", "message", "cause", "code"]),
    {
      name: "Error",
    },
  ),
  throwing(
    "an error whose name and class cannot be read",
    () => withGetters(["name", "constructor"]),
    {
      message: "hidden",
    },
  ),
  throwing("a proxy that allows nothing", () => barred, { name: "NonError" }),
  throwing("a revoked proxy", revoked, { name: "NonError" }),
  throwing("an error that is its own cause's cause", cyclic, {
    message: "outer",
    cause: { message: "inner" },
  }),
  throwing("an error with ten thousand causes", deep, { message: "level 9999" }),
  throwing("an error of fifty megabytes", () => new Error("x".repeat(50_000_000)), {
    message: expect.stringMatching(/^x{8000,} … \[cut at 8192 bytes\]$/),
  }),
  throwing("an error with text that is no Unicode", () => new Error("\ud800 and \0"), {
    message: expect.stringContaining("and"),
  }),
  throwing("an error of another realm", () => runInNewContext("new RangeError('elsewhere')"), {
    name: "RangeError",
    message: "elsewhere",
  }),
  throwing("an error that looks like a promise", () => thenableError, { message: "thenable" }),
  {
    title: "emits an error event that nobody hears",
    callback: () => new EventEmitter().emit("error", new Error("unheard")),
    fails: { message: "unheard" },
  },
  {
    title: "rejects with null",
    callback: () => Promise.reject(null),
    fails: { name: "NonError", message: "null" },
  },
  {
    title: "rejects, then resolves",
    callback: () =>
      new Promise((resolve, reject) => {
        reject(new Error("first"));
        resolve("second");
        reject(new Error("third"));
      }),
    fails: { message: "first" },
  },
  {
    title: "never settles",
    callback: never,
    options: { timeout: 5 },
    fails: { code: "TASK_TIMEOUT" },
  },
  {
    title: "rejects with its own error after its timeout",
    callback: ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new Error("too late"))),
      ),
    options: { timeout: 5 },
    fails: { code: "TASK_TIMEOUT" },
  },
  {
    title: "never settles, and has forgotten a task in it that does not either",
    callback: (_task, io) => {
      void io.runTask("inner", never);
      return never();
    },
    options: { timeout: 5 },
    fails: { code: "TASK_TIMEOUT" },
  },
  {
    title: "throws while a forgotten task in it fails",
    callback: (_task, io) => {
      void io.runTask("inner", () => Promise.reject(new Error("inner")));
      throw doomed;
    },
    fails: { message: doomed.message },
  },
  {
    title: "uses one key twice without looking",
    callback: async (_task, io) => {
      void io.runTask("same", () => takeTurns(2));
      return io.runTask("same", () => 1);
    },
    fails: { code: "KEY_DUPLICATE" },
  },
  returning(
    "an object with a getter that throws",
    () => ({ a: Object.defineProperty({}, "b", { get: refuses, enumerable: true }) }),
    { code: "VALUE_NOT_SERIALIZABLE", message: expect.stringContaining("a.b") },
  ),
  returning("an object with a toJSON that throws", () => ({ toJSON: refuses }), {
    code: "VALUE_NOT_SERIALIZABLE",
  }),
  returning("a proxy that allows nothing", () => [barred], {
    code: "VALUE_NOT_SERIALIZABLE",
    cause: { message: "no access" },
  }),
  returning("a revoked proxy", () => [revoked()], { code: "VALUE_NOT_SERIALIZABLE" }),
  returning("a stream", () => Readable.from(["a"]), { code: "VALUE_NOT_SERIALIZABLE" }),
  returning("a function in a list", () => [() => {}], { code: "VALUE_NOT_SERIALIZABLE" }),
  returning("a promise in an object", () => ({ later: Promise.resolve(1) }), {
    code: "VALUE_NOT_SERIALIZABLE",
  }),
  returning("more than is allowed", () => "x".repeat(4_000_000), { code: "VALUE_TOO_LARGE" }),
  returning("something whose then throws", () => thenable(refuses), { message: "no access" }),
  returning(
    "something whose then cannot be read",
    // biome-ignore lint/suspicious/noThenProperty: that is the point
    () => Object.defineProperty({}, "then", { get: refuses }),
    { message: "no access" },
  ),
  returning(
    "something whose then rejects, then resolves, then throws",
    () =>
      thenable((resolve, reject) => {
        reject(new Error("first"));
        resolve("second");
        throw new Error("third");
      }),
    { message: "first" },
  ),
  answering("throws null", () => Promise.reject(null), { name: "NonError", message: "null" }),
  answering("answers nonsense", (() => 17) as never, { code: "OPTION_INVALID" }),
  answering("answers a date that is none", () => ({ retryAt: new Date(Number.NaN) }), {
    code: "OPTION_INVALID",
  }),
  answering(
    "answers with getters that throw",
    () => Object.defineProperty({}, "skipRetrying", { get: refuses, enumerable: true }) as never,
    { message: "no access" },
  ),
  answering("answers a proxy that allows nothing", () => barred as never, {
    message: "no access",
  }),
];

/** The run of the job whose task misbehaves, and then one of another job. */
async function outcome(
  world: World,
  { callback, options, onError }: Misbehaviour,
): Promise<{ bad: Run | undefined; good: Run | undefined }> {
  const bad = jobOf((io) => io.runTask("bad", callback, options, onError), { id: "bad" });
  const good = jobOf((io) => io.runTask("good", () => "well"), { id: "good" });
  const client = world.client({ jobs: [bad, good] });
  client.on("runFailed", () => {});
  const first = await client.invoke(bad, {});
  await passingTime(world.clock, client.drain());
  const second = await client.invoke(good, {});
  await passingTime(world.clock, client.drain());
  return {
    bad: await client.getRun(first.id, { taskDetails: true }),
    good: await client.getRun(second.id),
  };
}

async function unhandledDuring(work: () => Promise<void>): Promise<unknown[]> {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", listen);
  try {
    await work();
    await turns();
  } finally {
    process.off("unhandledRejection", listen);
  }
  return unhandled;
}

describeEngine(
  "G18: the worker lives, and the attempt fails with its error, if a task",
  (world) => {
    test.each(misbehaviours)("$title", async (misbehaviour) => {
      const unhandled = await unhandledDuring(async () => {
        const { bad, good } = await outcome(world(), misbehaviour);
        expect(bad).toMatchObject({ status: "FAILED", error: misbehaviour.fails });
        const task = bad?.tasks?.find(({ key }) => key === "bad");
        expect(task).toMatchObject({ status: "FAILED", error: misbehaviour.fails });
        expect(task?.attempts).toHaveLength(1);
        expect(good).toMatchObject({ status: "COMPLETED", output: "well" });
      });
      expect(unhandled).toEqual([]);
      expect(world().troubles).toEqual([]);
    });
  },
);
