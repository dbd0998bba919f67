import { ConfigError } from "../core/errors.js";
import { describe } from "../core/options.js";

/**
 * A key that is given but undefined comes from an environment variable that is not set; taken for
 * "no key" it would make the integration look for an auth resolver.
 * @throws ConfigError OPTION_INVALID
 */
export function assertKeyOption(options: object, name: string, where: string): void {
  if (!Object.hasOwn(options, name)) return;
  const value: unknown = Reflect.get(options, name);
  if (typeof value === "string" && value !== "") return;
  throw new ConfigError(
    "OPTION_INVALID",
    `${name} of ${where} is ${describe(value)}; set the environment variable that it comes from, or leave ${name} out and define an auth resolver.`,
    { details: { option: name } },
  );
}

/** @throws ConfigError OPTION_INVALID */
export function assertUrlOption(value: unknown, name: string, where: string): void {
  if (value === undefined || (typeof value === "string" && /^https?:\/\/./.test(value))) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `${name} of ${where} is ${describe(value)}; pass a URL that begins with http:// or https://.`,
  );
}
