import {
  type AnyJob,
  type Client,
  cronTrigger,
  type DynamicSchedule,
  defineJob,
  intervalTrigger,
  type ScheduledPayload,
} from "../../src/index.js";
import type { Ledger } from "./ledger.js";

/** A job with a schedule of its own. */
export const TICKS = "ticks";
/** A job whose schedules are registered while the processes run, from outside and by runs. */
export const DYNAMIC = "dynamic";

export const tickingJobs: readonly string[] = [TICKS, DYNAMIC];

export type Ticking = "interval" | "cron";
/** Of the module with the jobs: during a deploy there are processes with either. */
export type ModuleVersion = "1.0.0" | "2.0.0";

/** As short as the interval of what is registered in between. */
export const DYNAMIC_SECONDS = 5;

/** Several runs may have the same program. */
export function runsSchedule(key: string, runId: string): string {
  return `${key} of ${runId}`;
}

const triggers = {
  interval: { "1.0.0": 5, "2.0.0": 7 },
  cron: { "1.0.0": "*/5 * * * * *", "2.0.0": "*/10 * * * * *" },
} as const;

function triggerOf(ticking: Ticking, version: ModuleVersion) {
  return ticking === "interval"
    ? intervalTrigger({ seconds: triggers.interval[version], catchUp: "all" })
    : cronTrigger({ cron: triggers.cron[version], catchUp: "all" });
}

/** Gives this client the jobs that schedules start. */
export function addTickingJobs(
  client: Client,
  ledger: Ledger,
  ticking: Ticking,
  version: ModuleVersion,
): DynamicSchedule {
  const run = async (payload: ScheduledPayload) => {
    ledger.counts("tick run");
    return payload;
  };
  const dynamic = client.defineDynamicSchedule({ id: DYNAMIC });
  const jobs: readonly AnyJob[] = [
    defineJob({ id: TICKS, version, trigger: triggerOf(ticking, version), run }),
    defineJob({ id: DYNAMIC, trigger: dynamic, run }),
  ];
  for (const job of jobs) client.attach(job);
  return dynamic;
}
