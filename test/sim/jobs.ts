import {
  type AnyJob,
  type Context,
  defineJob,
  eventTrigger,
  type Io,
  invokeTrigger,
} from "../../src/index.js";
import { Interpreter } from "./interpreter.js";
import type { Ledger } from "./ledger.js";
import { linkedJob, type Service } from "./linked.js";
import type { Machine } from "./machine.js";
import { flowJobs, type Program, programJobs } from "./program.js";
import { hashText } from "./random.js";

/** Most leases at a time, by limit id. */
export const LIMITS: Readonly<Record<string, number>> = {
  "job:limited": 2,
  "key:lanes": 1,
  "shared:pool": 2,
};

export const hearingJobs = ["hears1", "hears2"] as const;

/** Starts of "rated" in a whole simulation. */
export const RATED = 2;
/** Between two starts of "turns". */
export const TURN_MS = 2_000;
/** Hears bursts of events, and works for the last. */
export const BURST = "burst";

export interface SimPayload {
  readonly program: Program;
}

/** The jobs of one process. They differ in their options; what a run does is in its payload. */
export function jobsOf(
  machine: Machine,
  ledger: Ledger,
  service: Service | undefined,
  report: (violation: unknown) => void,
): AnyJob[] {
  const base = {
    maxExecutionsWithoutProgress: 10_000,
    run: (payload: unknown, io: Io, context: Context) => {
      const { id, attempt, executionCount } = context.run;
      const execution = ledger.executionBegins(id, attempt, executionCount, machine);
      const { program } = payload as SimPayload;
      machine.note(`begins ${execution.number}: ${id} ${JSON.stringify(program)}`);
      return new Interpreter(execution, ledger, report).run(program, io);
    },
  };
  const hook =
    (name: string) =>
    ({ id }: { readonly id: string }) =>
      ledger.hookCalled(name, id);
  const hooks = {
    onStart: hook("onStart"),
    onSuccess: hook("onSuccess"),
    onFailure: hook("onFailure"),
    onCancel: hook("onCancel"),
  };
  const trigger = invokeTrigger();
  const options: Record<(typeof programJobs)[number], object> = {
    plain: hooks,
    limited: { concurrencyLimit: 2 },
    lanes: {
      concurrencyLimit: {
        limit: 1,
        key: ({ program }: SimPayload) => `lane${hashText(program.id) & 1}`,
      },
    },
    pooled: { concurrencyLimit: { id: "pool", limit: 2 }, ...hooks },
    brief: { maxDuration: { milliseconds: 20_000 }, ...hooks },
  };
  const rules: Record<(typeof flowJobs)[number], object> = {
    rated: { rateLimit: { limit: RATED, period: "10d" } },
    turns: { throttle: { limit: 1, period: { milliseconds: TURN_MS } } },
    skipped: { singleton: { mode: "skip" } },
    joined: { singleton: { mode: "join" } },
    replaced: { singleton: { mode: "replace" } },
  };
  return [
    ...(service === undefined ? [] : [linkedJob(machine, service, base.run, report)]),
    ...flowJobs.map((id) => defineJob({ id, trigger, ...base, ...rules[id] })),
    defineJob({
      id: "bounced",
      trigger: eventTrigger({ name: BURST }),
      debounce: { period: { milliseconds: 2_500 }, maxDelay: 9 },
      ...base,
    }),
    ...programJobs.map((id) => defineJob({ id, trigger, ...base, ...options[id] })),
    defineJob({ id: "poisoned", trigger, ...base, maxExecutionsWithoutProgress: 3 }),
    ...hearingJobs.map((id) => defineJob({ id, trigger: eventTrigger({ name: "ev" }), ...base })),
  ];
}
