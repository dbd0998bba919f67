import { ConfigError } from "./errors.js";
import type { EventFilter, FilterScalar } from "./filter-types.js";
import { describe } from "./options.js";

/** True if the value meets the filter. Never throws. */
export type FilterTest = (value: unknown) => boolean;

const MAX_DEPTH = 64;
/** Properties, operators and scalars: each is looked at for each element of the arrays above it. */
const MAX_CONDITIONS = 1_000;

/**
 * Reads a filter once, so that an event costs a few comparisons. There are no
 * regular expressions and no backtracking: the cost is at most the size of the
 * filter times that of the payload.
 *
 * The semantics are those of trigger.dev v2, with its silent cases made errors.
 * @param where how the error text calls the filter, for instance `filter of eventTrigger "order.paid"`
 * @throws ConfigError FILTER_INVALID
 */
export function compileFilter(filter: unknown, where: string): FilterTest {
  return new Compiler(where).filter(filter, []);
}

/**
 * The filter as plain data of its own, which nobody changes afterwards.
 * @throws ConfigError FILTER_INVALID
 */
export function checkedFilter(filter: unknown, where: string): EventFilter {
  compileFilter(filter, where);
  const copy = JSON.parse(JSON.stringify(filter)) as EventFilter;
  // As it is stored, other processes read it: what JSON cannot keep must not get there.
  compileFilter(copy, where);
  return copy;
}

/** What a filter asks first, if that is one value for one property: events can be sorted by it. */
export interface FirstEquality {
  readonly path: readonly string[];
  readonly value: FilterScalar;
}

export function firstEquality(filter: EventFilter | undefined): FirstEquality | undefined {
  const path: string[] = [];
  let inner: unknown = filter;
  while (isRecord(inner)) {
    const [first] = Object.entries(inner);
    if (first === undefined) return undefined;
    path.push(first[0]);
    inner = first[1];
  }
  if (!Array.isArray(inner) || inner.length !== 1 || !isScalar(inner[0])) return undefined;
  return { path, value: inner[0] };
}

/** The scalars of a payload at a path, through arrays as a filter looks through them. */
export function scalarsAt(payload: unknown, path: readonly string[]): Set<FilterScalar> {
  const found = new Set<FilterScalar>();
  collect(payload, path, 0, found);
  return found;
}

function collect(
  value: unknown,
  path: readonly string[],
  depth: number,
  found: Set<FilterScalar>,
): void {
  const property = path[depth];
  if (property === undefined) {
    if (isScalar(value)) found.add(value);
  } else {
    for (const each of Array.isArray(value) ? value : [value]) {
      collect(propertyOf(each, property), path, depth + 1, found);
    }
  }
}

/** Turns a filter into nested closures, and refuses what has no meaning. */
class Compiler {
  readonly #where: string;
  #conditions = 0;

  constructor(where: string) {
    this.#where = where;
  }

  filter(filter: unknown, path: readonly string[]): FilterTest {
    if (!isPlain(filter)) {
      this.#fail(path, `is ${describe(filter)}; write an object of conditions by property`);
    }
    if (path.length > MAX_DEPTH) this.#fail(path, `is nested deeper than ${MAX_DEPTH}`);
    const properties = Object.entries(filter).map(
      ([name, condition]) => [name, this.#condition(condition, [...path, name])] as const,
    );
    if (properties.length === 0) return () => true;
    const meets: FilterTest = (value) => {
      if (!isRecord(value)) return false;
      for (const [name, test] of properties) if (!test(propertyOf(value, name))) return false;
      return true;
    };
    return (value) => (Array.isArray(value) ? value.some(meets) : meets(value));
  }

  #condition(condition: unknown, path: readonly string[]): FilterTest {
    this.#count(path, 1);
    if (!Array.isArray(condition)) return this.filter(condition, path);
    this.#count(path, condition.length);
    const [first] = condition;
    if (condition.length === 0) return () => true;
    if (!isScalar(first)) return this.#operators(condition, path);
    const stranger = condition.find((each) => typeof each !== typeof first || !isOperand(each));
    if (stranger !== undefined) {
      const others = `holds ${describe(stranger)} beside ${describe(first)}`;
      this.#fail(path, `${others}; use strings, finite numbers or booleans, all of one type`);
    }
    if (condition.length === 1) return (value) => value === first;
    const allowed = new Set<unknown>(condition);
    return (value) => allowed.has(value);
  }

  #operators(conditions: readonly unknown[], path: readonly string[]): FilterTest {
    const tests = conditions.map((condition) => this.#operator(condition, path));
    const [only] = tests;
    if (only !== undefined && tests.length === 1) return only;
    return (value) => tests.every((test) => test(value));
  }

  #operator(condition: unknown, path: readonly string[]): FilterTest {
    if (!isRecord(condition)) {
      this.#fail(path, `holds ${describe(condition)}; use strings, numbers, booleans or operators`);
    }
    const names = Object.keys(condition);
    const [name = ""] = names;
    if (names.length !== 1) {
      const found = names.length === 0 ? "no operator" : `${names.join(" and ")} in one object`;
      this.#fail(path, `has ${found}; write one object for each operator, all of which must hold`);
    }
    const make = Object.hasOwn(operators, name) ? operators[name as OperatorName] : undefined;
    if (make === undefined) {
      const known = Object.keys(operators).join(", ");
      this.#fail(path, `has the unknown operator ${describe(name)}. Known operators: ${known}`);
    }
    const operand = condition[name];
    const test = make(operand);
    if (typeof test === "string") this.#fail(path, `has ${name}: ${describe(operand)}; ${test}`);
    if (Array.isArray(operand)) this.#count(path, operand.length);
    return test;
  }

  #count(path: readonly string[], more: number): void {
    this.#conditions += more;
    if (this.#conditions > MAX_CONDITIONS) {
      this.#fail(
        path,
        `has more than ${MAX_CONDITIONS} properties, operators and values up to here`,
      );
    }
  }

  #fail(path: readonly string[], problem: string): never {
    const at = path.length === 0 ? "" : ` at ${path.join(".")}`;
    throw new ConfigError("FILTER_INVALID", `The ${this.#where}${at} ${problem}.`);
  }
}

/** Accents count, case does not. One language, so that every process agrees. Made on first use, for it takes milliseconds. */
let collator: Intl.Collator | undefined;

function equalIgnoringCase(a: string, b: string): boolean {
  collator ??= new Intl.Collator("en", { sensitivity: "accent" });
  return collator.compare(a, b) === 0;
}

/** By operator: the test for an operand, or what the operand should be. */
const operators = {
  $startsWith: onText((text, start) => text.startsWith(start)),
  $endsWith: onText((text, end) => text.endsWith(end)),
  $ignoreCaseEquals: onText(equalIgnoringCase),
  $exists: onFlag((value) => value !== undefined),
  $isNull: onFlag((value) => value === null),
  $anythingBut,
  $gt: onNumber((number, bound) => number > bound),
  $gte: onNumber((number, bound) => number >= bound),
  $lt: onNumber((number, bound) => number < bound),
  $lte: onNumber((number, bound) => number <= bound),
  $between,
  $includes: onScalar((value, element) => Array.isArray(value) && value.includes(element)),
  $not: onScalar((value, other) =>
    Array.isArray(value) ? !value.includes(other) : isScalar(value) && value !== other,
  ),
} satisfies Record<string, (operand: unknown) => FilterTest | string>;

type OperatorName = keyof typeof operators;

function onText(holds: (text: string, operand: string) => boolean) {
  return (operand: unknown): FilterTest | string =>
    typeof operand === "string"
      ? (value) => typeof value === "string" && holds(value, operand)
      : "it takes a string";
}

function onNumber(holds: (number: number, operand: number) => boolean) {
  return (operand: unknown): FilterTest | string =>
    isFiniteNumber(operand)
      ? (value) => typeof value === "number" && holds(value, operand)
      : "it takes a finite number";
}

function onFlag(holds: FilterTest) {
  return (operand: unknown): FilterTest | string =>
    typeof operand === "boolean" ? (value) => holds(value) === operand : "it takes true or false";
}

function onScalar(holds: (value: unknown, operand: FilterScalar) => boolean) {
  return (operand: unknown): FilterTest | string =>
    isOperand(operand)
      ? (value) => holds(value, operand)
      : "it takes a string, a finite number or a boolean";
}

function $anythingBut(operand: unknown): FilterTest | string {
  const refused: readonly unknown[] = Array.isArray(operand) ? operand : [operand];
  if (refused.length === 0 || !refused.every(isOperand)) {
    return "it takes a string, a finite number, a boolean, or a list of them";
  }
  const all = new Set<unknown>(refused);
  return (value) => !all.has(value);
}

function $between(operand: unknown): FilterTest | string {
  const bounds: readonly unknown[] = Array.isArray(operand) ? operand : [];
  const [min, max] = bounds;
  if (bounds.length !== 2 || !isFiniteNumber(min) || !isFiniteNumber(max)) {
    return "it takes two finite numbers, [min, max]";
  }
  if (min > max) return "its min is greater than its max";
  return (value) => typeof value === "number" && value >= min && value <= max;
}

function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

function isScalar(value: unknown): value is FilterScalar {
  return typeof value === "string" || typeof value === "boolean" || typeof value === "number";
}

/** What can be written down as JSON and read back. */
function isOperand(value: unknown): value is FilterScalar {
  return isScalar(value) && (typeof value !== "number" || Number.isFinite(value));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Not a Date, a Map or a regular expression: those have no meaning as conditions. */
function isPlain(value: unknown): value is Record<string, unknown> {
  return isRecord(value) && Object.prototype.toString.call(value) === "[object Object]";
}

/** Own properties only: a payload has no `constructor` because objects have one. */
function propertyOf(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
