import { assertJobId } from "../core/job-options.js";
import { assertText, type Key } from "../core/key.js";
import { assertGivenOptions, assertOptions } from "../core/options.js";
import { isFinal } from "../core/run-status.js";
import {
  type CronOptions,
  cronSchedule,
  type IntervalOptions,
  intervalSchedule,
  type Schedule,
  schedulePolicy,
} from "../core/schedule.js";
import type { ScheduledPayload } from "../core/schedule-trigger.js";
import type { Trigger, TriggerData } from "../core/trigger.js";
import { currentScope } from "./async-context.js";
import { encodeValue } from "./encode.js";
import type { Engine } from "./engine.js";
import { changeSchedule, ending, registration } from "./schedule-change.js";
import {
  dynamicName,
  type ScheduleDefinition,
  scheduleName,
  scheduleTag,
  stateOf,
} from "./schedule-state.js";
import { type ScheduleTaskOptions, scheduleTask } from "./schedule-task.js";
import { listScheduleRuns } from "./schedules.js";
import type { Scope } from "./scope.js";

/** Ticks by a cron expression, or every so many seconds. */
export type DynamicScheduleOptions = CronOptions | IntervalOptions;

export interface RegisterOptions {
  /** Readable as `context.source.metadata`. */
  readonly metadata?: unknown;
  /** Readable as `context.account.id`. */
  readonly accountId?: string;
}

/** A registered schedule as it is read. */
export interface RegisteredSchedule {
  /** For `fireSchedule`, `pauseSchedule` and `resumeSchedule` of the client. */
  readonly id: string;
  readonly key: string;
  readonly schedule: Schedule;
  readonly metadata: unknown;
  readonly accountId?: string;
  readonly paused: boolean;
  /** The next tick; absent while it is paused, or if none comes any more. */
  readonly next?: Date;
  readonly last?: Date;
}

/** What a dynamic schedule needs of its client. */
export interface ScheduleHost {
  readonly engine: Engine;
  ready(): Promise<void> | undefined;
  claimSoon(): void;
}

/**
 * Schedules that are made while the app runs, such as one for each customer. It
 * is the trigger of one or more jobs: each tick of each registered schedule starts
 * a run of each of them. Made by `client.defineDynamicSchedule`.
 *
 * Inside a run, `register` and `unregister` are remembered as tasks.
 *
 * @example
 * const reports = client.defineDynamicSchedule({ id: "reports" });
 * client.defineJob({ id: "report", trigger: reports, run: async ({ ts }, io, { source }) => source?.id });
 * await reports.register("customer-1", { cron: "0 8 * * 1", timezone: "Asia/Tokyo" }, { accountId: "c1" });
 */
export class DynamicSchedule implements Trigger<ScheduledPayload> {
  readonly id: string;
  readonly data: TriggerData;
  readonly schema = undefined;
  readonly examples = [];
  readonly #host: ScheduleHost;

  constructor(host: ScheduleHost, options: { readonly id: string }) {
    assertGivenOptions(options, ["id"], "defineDynamicSchedule");
    assertJobId(options.id);
    this.id = options.id;
    this.data = { type: "dynamic", id: options.id };
    this.#host = host;
  }

  /**
   * Registers a schedule under a key of this dynamic schedule, or changes it.
   * @throws ConfigError TRIGGER_INVALID, OPTION_INVALID, OPTION_UNKNOWN
   */
  async register(
    key: string,
    schedule: DynamicScheduleOptions,
    options: RegisterOptions = {},
  ): Promise<void> {
    const definition = this.#definition(key, schedule, options);
    const { engine } = this.#host;
    const name = dynamicName(this.id, key);
    await this.#do<void>([this.id, key, "register"], {
      name,
      change: async () => registration(engine, name, await this.#encoded(key, definition, options)),
      output: () => undefined,
    });
  }

  /** Ends the schedule of a key: it ticks no more. Answers whether there was one. @throws ConfigError OPTION_INVALID */
  async unregister(key: string): Promise<boolean> {
    this.#assertKey(key);
    return this.#do([this.id, key, "unregister"], {
      name: dynamicName(this.id, key),
      change: () => ending(this.#host.engine),
      output: (hasEnded) => hasEnded,
    });
  }

  /** Those that are registered, by key. */
  async list(): Promise<RegisteredSchedule[]> {
    await this.#host.ready();
    const { engine } = this.#host;
    const found: RegisteredSchedule[] = [];
    for await (const run of listScheduleRuns(engine, { tag: scheduleTag(this.id) })) {
      if (isFinal(run.status)) continue;
      const { key = "", paused = false, next: due, ...state } = stateOf(run);
      const { schedule, metadata, accountId, last } = state;
      const next = paused ? null : due;
      found.push({
        id: scheduleName(run),
        key,
        schedule,
        metadata: metadata === undefined ? undefined : await engine.codec.decode(metadata),
        ...(accountId === undefined ? undefined : { accountId }),
        paused,
        ...(next === null ? undefined : { next: new Date(next) }),
        ...(last === undefined ? undefined : { last: new Date(last) }),
      });
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #definition(
    key: string,
    schedule: DynamicScheduleOptions,
    options: RegisterOptions,
  ): ScheduleDefinition {
    this.#assertKey(key);
    const where = `schedule "${key}" of "${this.id}"`;
    assertOptions(options, ["metadata", "accountId"], where);
    if (options.accountId !== undefined) assertText(options.accountId, `accountId of ${where}`);
    return {
      schedule:
        typeof schedule === "object" && schedule !== null && "seconds" in schedule
          ? intervalSchedule(schedule, where)
          : cronSchedule(schedule, where),
      ...schedulePolicy(schedule, where),
      version: "0.0.0",
      key,
      dynamicId: this.id,
    };
  }

  #assertKey(key: string): void {
    assertText(key, `key of dynamic schedule "${this.id}"`, { maxBytes: 256 });
  }

  async #encoded(
    key: string,
    definition: ScheduleDefinition,
    { metadata, accountId }: RegisterOptions,
  ): Promise<ScheduleDefinition> {
    const what = `metadata of schedule "${key}"`;
    return {
      ...definition,
      ...(metadata !== undefined && {
        metadata: await encodeValue(this.#host.engine, metadata, what),
      }),
      ...(accountId !== undefined && { accountId }),
    };
  }

  /** At once, or as a task of the run that the calling code belongs to. */
  async #do<T>(taskKey: Key, options: ScheduleTaskOptions): Promise<T> {
    const scope: Scope | undefined = currentScope();
    if (scope?.execution.isLive === true) return scheduleTask(scope, taskKey, options);
    await this.#host.ready();
    const { name, change, output } = options;
    const hasChanged = await changeSchedule(this.#host.engine, name, await change());
    this.#host.claimSoon();
    return output(hasChanged) as T;
  }
}
