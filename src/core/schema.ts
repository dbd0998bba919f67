import { ConfigError, type PayloadIssue } from "./errors.js";
import { describe } from "./options.js";

/** The part of Standard Schema v1 (standardschema.dev) that is used here. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What zod 3 and its relatives offer. */
export interface SafeParseSchema<Output = unknown> {
  safeParse(value: unknown):
    | { success: true; data: Output }
    | {
        success: false;
        error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] };
      };
}

/** Anything that follows Standard Schema or has `safeParse`. */
export type Schema = StandardSchema | SafeParseSchema;

/** What `invoke` takes. */
export type SchemaInput<S> =
  S extends StandardSchema<infer Input, unknown>
    ? Input
    : S extends { readonly _input: infer Input }
      ? Input
      : S extends SafeParseSchema<infer Output>
        ? Output
        : never;

/** What `run` gets. */
export type SchemaOutput<S> =
  S extends StandardSchema<unknown, infer Output>
    ? Output
    : S extends SafeParseSchema<infer Output>
      ? Output
      : never;

export type ParseResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly issues: readonly PayloadIssue[] };

/** Throws SCHEMA_UNRECOGNIZED at definition, so that no payload is ever let through unchecked. */
export function assertSchema(schema: unknown, where: string): asserts schema is Schema {
  if (isStandard(schema) || isSafeParse(schema)) return;
  throw new ConfigError(
    "SCHEMA_UNRECOGNIZED",
    `The schema of ${where} is neither a Standard Schema nor an object with safeParse. Pass a schema of zod, valibot, arktype or the like.`,
  );
}

/**
 * At once, unless the schema itself is asynchronous.
 * @throws ConfigError SCHEMA_UNRECOGNIZED if the schema answers nothing that a schema answers
 */
export function parseWith(schema: Schema, value: unknown): ParseResult | Promise<ParseResult> {
  if (isStandard(schema)) {
    const result = answerOf(schema["~standard"].validate(value), "validate");
    return "then" in result
      ? Promise.resolve(result).then((done) => standardParsed(answerOf(done, "validate")))
      : standardParsed(result);
  }
  const result = answerOf(schema.safeParse(value), "safeParse");
  if (!result.success && !Array.isArray(result.error?.issues))
    throw strange("then" in result ? "a promise" : "an object", "safeParse");
  return result.success
    ? { ok: true, value: result.data }
    : {
        ok: false,
        issues: result.error.issues.map(({ path, message }) => ({
          path: plainPath(path),
          message,
        })),
      };
}

function answerOf<T>(answer: T, method: string): T & object {
  if (typeof answer === "object" && answer !== null) return answer;
  throw strange(describe(answer), method);
}

function strange(answer: string, method: string): ConfigError {
  return new ConfigError(
    "SCHEMA_UNRECOGNIZED",
    `The ${method} of a schema answered ${answer}, which says neither that the value fits nor that it does not. Correct the schema; one that is asynchronous must follow Standard Schema.`,
  );
}

function standardParsed(result: StandardResult<unknown>): ParseResult {
  return result.issues === undefined
    ? { ok: true, value: result.value }
    : { ok: false, issues: result.issues.map(standardIssue) };
}

function standardIssue(issue: StandardIssue): PayloadIssue {
  const keys = (issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  return { path: plainPath(keys), message: issue.message };
}

function plainPath(path: readonly PropertyKey[]): (string | number)[] {
  return path.map((key) => (typeof key === "number" ? key : String(key)));
}

function isStandard(schema: unknown): schema is StandardSchema {
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return false;
  const standard: unknown = Reflect.get(schema, "~standard");
  return (
    typeof standard === "object" &&
    standard !== null &&
    typeof Reflect.get(standard, "validate") === "function"
  );
}

function isSafeParse(schema: unknown): schema is SafeParseSchema {
  return (
    (typeof schema === "object" || typeof schema === "function") &&
    schema !== null &&
    typeof Reflect.get(schema, "safeParse") === "function"
  );
}
