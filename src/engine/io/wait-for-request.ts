import { ConfigError } from "../../core/errors.js";
import type { Key } from "../../core/key.js";
import { assertFunction, assertOptions } from "../../core/options.js";
import type { TokenOptions } from "../../core/token.js";
import type { Scope } from "../scope.js";
import { group } from "./parallel.js";
import { rejected, runTask } from "./run-task.js";
import { createTokenTask, waitForTokenTask } from "./tokens.js";

/** A token, a task that hands out its URL, and the wait, under one key. */
export function waitForRequest<T>(
  scope: Scope,
  key: Key,
  callback: (url: string) => unknown,
  options: TokenOptions = {},
): Promise<T> {
  try {
    assertFunction(callback, "the callback of io.waitForRequest");
    assertOptions(options, ["timeout"], "io.waitForRequest");
    if (scope.execution.engine.tokenUrls === undefined) {
      throw new ConfigError(
        "OPTION_INVALID",
        "io.waitForRequest needs publicUrl and secrets of createClient, of which it makes the URL.",
      );
    }
  } catch (error) {
    return rejected(error);
  }
  return group<T>(scope, key, "waitForRequest", undefined, async (inner) => {
    const token = await createTokenTask(inner, "token", options);
    await runTask(inner, "send", async () => {
      await callback(token.url ?? "");
    });
    return waitForTokenTask(inner, "answer", token);
  });
}
