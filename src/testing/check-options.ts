import { ConfigError } from "../core/errors.js";
import type { AnyJob } from "../core/job.js";
import { assertInteger, assertOptions, describe } from "../core/options.js";
import type { TestJobOptions } from "./test-job.js";

const optionNames = [
  "payload",
  "invoke",
  "mocks",
  "auth",
  "events",
  "jobs",
  "replay",
  "crash",
  "start",
];

/** A test that runs something else than its author thinks is worse than none. */
export function checkTestJob(job: AnyJob, options: TestJobOptions<never>): void {
  if (typeof job?.options?.run !== "function")
    throw invalid(`testJob takes what defineJob gives, got ${describe(job)}.`);
  assertOptions(options, optionNames, "testJob");
  const { mocks, replay, crash } = options;
  if (typeof mocks === "string" || Array.isArray(mocks))
    throw invalid(`mocks of testJob is ${describe(mocks)}; pass an object of results by key path.`);
  if (replay !== undefined && replay !== "every-task")
    throw invalid(`replay of testJob is ${describe(replay)}; pass "every-task", or leave it out.`);
  if (crash === undefined) return;
  assertOptions(crash, ["commit", "when"], "crash of testJob");
  assertInteger(crash.commit, "crash.commit of testJob", { min: 1 });
  if (crash.when !== "before" && crash.when !== "after")
    throw invalid(`crash.when of testJob is ${describe(crash.when)}; pass "before" or "after".`);
}

function invalid(text: string): ConfigError {
  return new ConfigError("OPTION_INVALID", text);
}
