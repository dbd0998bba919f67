import { ConfigError } from "./errors.js";
import type { Answer } from "./fetch-rules.js";
import { compileFilter } from "./filter.js";
import type { ResponseFilter } from "./http.js";
import { assertOptions, describe } from "./options.js";
import { isSuccess } from "./status-pattern.js";

/** A checked `responseFilter`. @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID, FILTER_INVALID */
export function compileResponseFilter(
  filter: ResponseFilter,
  where: string,
): (answer: Answer) => boolean {
  if (filter === undefined || filter === null)
    throw new ConfigError(
      "OPTION_INVALID",
      `${where} needs a responseFilter, such as { body: { state: ["done"] } }, got ${describe(filter)}.`,
    );
  assertOptions(filter, ["status", "headers", "body"], `responseFilter of ${where}`);
  const { status, headers, body } = filter;
  if (status !== undefined && !Array.isArray(status))
    throw new ConfigError(
      "OPTION_INVALID",
      `status of responseFilter of ${where} is ${describe(status)}; pass a list such as [200, 201].`,
    );
  const ofFilter = `of responseFilter of ${where}`;
  const tests = {
    status: compileFilter(status === undefined ? {} : { status }, `status ${ofFilter}`),
    headers: compileFilter(lowerCased(headers ?? {}), `headers ${ofFilter}`),
    body: body === undefined ? () => true : compileFilter(body, `body ${ofFilter}`),
  };
  return (answer) =>
    (status !== undefined || isSuccess(answer.status)) &&
    tests.status(answer) &&
    tests.headers(answer.headers) &&
    tests.body(answer.data);
}

function lowerCased(headers: NonNullable<ResponseFilter["headers"]>): unknown {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) return headers;
  return Object.fromEntries(
    Object.entries(headers).map(([name, matcher]) => [name.toLowerCase(), matcher]),
  );
}
