import type { Command, Program, TaskCommand } from "./program.js";
import type { CallValue, Result, TaskValue } from "./values.js";

/** What a command may come to; where several can, the library decides which. */
interface Outcome {
  readonly ok: boolean;
  /** Messages of the errors that are possible. */
  readonly errors: ReadonlySet<string>;
}

/** Facts that the model cannot know. */
export interface Facts {
  /** How the run was retried up to now: 1 + number of retries. */
  readonly generation: number;
  /** Why a child's end as its parent saw it cannot be; undefined if it can. */
  childProblem(value: CallValue): string | undefined;
  eventProblem(runIds: readonly string[]): string | undefined;
  unregisterProblem(key: string, value: unknown, path: string): string | undefined;
}

const TIMEOUT = "<wait timeout>";
const INTERRUPTED = "<interrupted>";
const NONE: ReadonlySet<string> = new Set();

const givesObject = new Set<Command["op"]>([
  "task",
  "nested",
  "waitForAny",
  "invokeAndWait",
  "event",
  "await",
]);

function normal(message: string): string {
  if (/ did not end in time; | that fits came in time for |^Token /.test(message)) return TIMEOUT;
  return /^Task ".*" of run .* was started by an execution that ended before/.test(message)
    ? INTERRUPTED
    : message;
}

/** The results a program must have, computed without the library. */
export class Model {
  readonly #facts: Facts;

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** Why this output of a completed run is wrong; undefined if it is right. */
  outputProblem(program: Program, output: unknown): string | undefined {
    return this.#resultsProblem(program.commands, output, "");
  }

  /** Why a run cannot have failed with this error. */
  errorProblem(program: Program, message: string): string | undefined {
    const { errors } = this.#sequence(program.commands, "");
    return errors.has(normal(message)) ? undefined : `it cannot fail with: ${message}`;
  }

  #resultsProblem(
    commands: readonly Command[],
    results: unknown,
    path: string,
  ): string | undefined {
    if (!Array.isArray(results) || results.length !== commands.length) {
      return `${path || "the run"} gave ${JSON.stringify(results)} for ${commands.length} commands`;
    }
    for (const [index, command] of commands.entries()) {
      const problem = this.#resultProblem(command, results[index] as Result, path);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #resultProblem(command: Command, result: Result, parent: string): string | undefined {
    const path = parent === "" ? command.key : `${parent}/${command.key}`;
    const outcome = this.#outcome(command, path);
    if ("error" in result) {
      return outcome.errors.has(normal(result.error))
        ? undefined
        : `${command.op} ${path} failed with: ${result.error}`;
    }
    if (!outcome.ok) return `${command.op} ${path} cannot succeed`;
    const problem = this.#valueProblem(command, result.ok, path, parent);
    return problem === undefined ? undefined : `${command.op} ${path}: ${problem}`;
  }

  #valueProblem(
    command: Command,
    value: unknown,
    path: string,
    parent: string,
  ): string | undefined {
    if (givesObject.has(command.op) && !isObject(value)) {
      return `it gave ${String(value)}`;
    }
    switch (command.op) {
      case "task":
        return taskProblem(command, value as TaskValue, path);
      case "nested":
        return this.#resultsProblem(command.body, (value as { body: unknown }).body, path);
      case "all":
        return this.#firstProblem(command.branches, value, (branch, each) =>
          this.#resultProblem(branch, { key: branch.key, ok: each }, parent),
        );
      case "allSettled":
        return this.#firstProblem(command.branches, value, (branch, each) =>
          this.#resultProblem(branch, each as Result, parent),
        );
      case "race":
      case "any":
        return this.#anyBranch(command.branches, value, parent);
      case "waitForAny": {
        const { name, value: won } = value as { name: string; value: unknown };
        const winners = command.branches.filter((branch) => branch.key === name);
        return this.#anyBranch(winners, won, `${path}/${name}`);
      }
      case "parallel":
        return this.#firstProblem(command.bodies, value, (body, each, index) =>
          this.#resultsProblem(body, each, `${path}/${index}`),
        );
      case "invokeAndWait":
        return this.#facts.childProblem(value as CallValue);
      case "batch":
        return this.#firstProblem(command.children, value, (_child, each) =>
          this.#facts.childProblem(each as CallValue),
        );
      case "event":
        return this.#facts.eventProblem((value as { runIds: string[] }).runIds);
      case "await": {
        const n = (value as { payload?: { n?: number } }).payload?.n;
        return n === command.n ? undefined : `it received ${n}`;
      }
      case "token":
        return /^answer \d+$/.test(String(value)) ? undefined : `it gave ${String(value)}`;
      case "tick":
        return this.#facts.unregisterProblem(command.key, value, path);
      case "count":
        return Number.isInteger(value) && Number(value) > 0 ? undefined : `it gave ${value}`;
      default:
        return undefined;
    }
  }

  #firstProblem<T>(
    list: readonly T[],
    values: unknown,
    problem: (each: T, value: unknown, index: number) => string | undefined,
  ): string | undefined {
    if (!Array.isArray(values) || values.length !== list.length) return "wrong number of results";
    for (const [index, each] of list.entries()) {
      const found = problem(each, values[index], index);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #anyBranch(branches: readonly Command[], value: unknown, parent: string): string | undefined {
    const problems = branches.map((branch) =>
      this.#resultProblem(branch, { key: branch.key, ok: value }, parent),
    );
    return problems.includes(undefined)
      ? undefined
      : `no branch gives this: ${problems.join("; ")}`;
  }

  #outcome(command: Command, path: string): Outcome {
    const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
    switch (command.op) {
      case "task":
        return this.#taskOutcome(command, path);
      case "nested":
        return this.#nestedOutcome(command, path);
      case "all":
        return both(command.branches.map((branch) => this.#inside(branch, parent)));
      case "race":
        return either(command.branches.map((branch) => this.#inside(branch, parent)));
      case "waitForAny":
        return either(
          command.branches.map((branch) => this.#inside(branch, `${path}/${branch.key}`)),
        );
      case "any": {
        const branches = command.branches.map((branch) => this.#inside(branch, parent));
        const mayFail = branches.every(({ errors }) => errors.size > 0);
        return {
          ok: branches.some(({ ok }) => ok),
          errors: mayFail ? new Set(["All promises were rejected"]) : NONE,
        };
      }
      case "parallel":
        return both(command.bodies.map((body, index) => this.#sequence(body, `${path}/${index}`)));
      case "invokeAndWait":
        return {
          ok: true,
          errors: command.timeoutMs === undefined ? NONE : new Set([TIMEOUT]),
        };
      case "await":
      case "token":
        return { ok: true, errors: new Set([TIMEOUT]) };
      case "throw":
        // A retried run may get further, or have ended before.
        return {
          ok: this.#facts.generation > command.until,
          errors: new Set([`throw ${path}`]),
        };
      case "poison":
        return { ok: false, errors: NONE };
      default:
        return { ok: true, errors: NONE };
    }
  }

  #inside(command: Command, parent: string): Outcome {
    return this.#outcome(command, parent === "" ? command.key : `${parent}/${command.key}`);
  }

  #taskOutcome(command: TaskCommand, path: string): Outcome {
    const { fails, limit, failsUntil, mode } = command;
    const errors = new Set<string>();
    // Below a recorded parent a result may be of an earlier generation; else failures were tried afresh.
    const mayBeOld = failsUntil > 0 && path.includes("/");
    if (fails >= limit || mayBeOld || failsUntil >= this.#facts.generation) {
      errors.add(`fail ${path} ${limit}`);
    }
    if (mode === "at-most-once") errors.add(INTERRUPTED);
    return { ok: fails < limit && failsUntil < this.#facts.generation, errors };
  }

  #nestedOutcome(command: Extract<Command, { op: "nested" }>, path: string): Outcome {
    const body = this.#sequence(command.body, path);
    const errors = new Set(body.errors);
    if (command.fails >= command.limit && body.ok) errors.add(`nested ${path} ${command.limit}`);
    return { ok: body.ok && command.fails < command.limit, errors };
  }

  #sequence(commands: readonly Command[], path: string): Outcome {
    const errors = new Set<string>();
    for (const command of commands) {
      if (command.uncaught !== true) continue;
      const outcome = this.#inside(command, path);
      for (const error of outcome.errors) errors.add(error);
      if (!outcome.ok) return { ok: false, errors };
    }
    return { ok: true, errors };
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** All of them count; the first to fail is the result. */
function both(outcomes: readonly Outcome[]): Outcome {
  return { ok: outcomes.every(({ ok }) => ok), errors: union(outcomes) };
}

function either(outcomes: readonly Outcome[]): Outcome {
  return { ok: outcomes.some(({ ok }) => ok), errors: union(outcomes) };
}

function union(outcomes: readonly Outcome[]): ReadonlySet<string> {
  return new Set(outcomes.flatMap(({ errors }) => [...errors]));
}

function taskProblem(command: TaskCommand, value: TaskValue, path: string): string | undefined {
  if (value.path !== path) return `it gave the value of ${value.path}`;
  if (value.attempt !== command.fails + 1) return `attempt ${value.attempt} succeeded`;
  if (!(value.at instanceof Date) || value.at.getTime() !== value.start) return "its Date is wrong";
  if (!("nothing" in value) || value.nothing !== undefined) return "its undefined is gone";
  if (!(value.set instanceof Set) || !value.set.has(value.attempt)) return "its Set is wrong";
  return undefined;
}
