import { defaultCodec } from "../../src/core/codec.js";
import { decodeErrorRecord } from "../../src/core/error-record.js";
import { isInternal } from "../../src/core/final.js";
import { isFinal } from "../../src/core/run-status.js";
import type { RunRecord, TaskRecord } from "../../src/core/storage.js";
import { decodeTaskData } from "../../src/core/task-data.js";
import { EVENT_JOB } from "../../src/engine/event-run.js";
import { decodeMeta } from "../../src/engine/run-meta.js";
import type { Driver } from "./driver.js";
import { TOLD } from "./interpreter.js";
import { hearingJobs, RATED, type SimPayload } from "./jobs.js";
import { type Facts, Model } from "./model.js";
import { isPaused } from "./monitor.js";
import type { Command, Program } from "./program.js";
import { judgeTicks } from "./schedule-verdict.js";
import { runsSchedule, tickingJobs } from "./ticking.js";
import type { CallValue } from "./values.js";
import { textOf } from "./values.js";
import { Violation } from "./violation.js";
import type { World } from "./world.js";

/** Judges the store when all is over. */
export async function judge(world: World, driver: Driver): Promise<void> {
  const runs = await allRuns(world);
  const byId = new Map(runs.map((run) => [run.id, run]));
  for (const id of driver.acknowledged) {
    if (!byId.has(id)) throw new Violation("G11", `acknowledged run ${id} is not stored`);
  }
  for (const run of runs) {
    if (!isFinal(run.status) && !isPaused(run))
      throw new Violation("G15", `run ${run.id} is ${run.status}`);
    if (!isInternal(run.jobId)) await judgeRun(world, driver, run, byId);
  }
  await judgeWaits(world, runs);
  await judgeTokens(world, runs);
  await judgeCounts(world, runs);
  judgeRules(driver, runs);
  judgeEvents(runs);
  judgeKeys(world, runs);
  await judgeSent(world, runs);
  judgePoison(world);
  judgeHooks(world, runs);
  await judgeLogs(world, runs);
  await judgeTicks(world, runs);
}

async function allRuns({ view }: World): Promise<RunRecord[]> {
  const runs: RunRecord[] = [];
  let cursor: string | undefined;
  do {
    const query = { internal: true, limit: 500, ...(cursor === undefined ? {} : { cursor }) };
    const page = await view.storage.listRuns(query);
    runs.push(...page.runs);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return runs;
}

async function programOf({ payload }: RunRecord): Promise<Program> {
  return ((await defaultCodec.decode(payload ?? "")) as SimPayload).program;
}

async function judgeRun(
  world: World,
  driver: Driver,
  run: RunRecord,
  byId: ReadonlyMap<string, RunRecord>,
): Promise<void> {
  const outputs = new Map<string, unknown>();
  for (const other of byId.values()) {
    if (other.parentId === run.id || other.idempotencyKey !== null)
      outputs.set(
        other.id,
        other.output === null ? undefined : await defaultCodec.decode(other.output),
      );
  }
  const model = new Model(factsOf(world, driver, run, byId, outputs));
  const program = tickingJobs.includes(run.jobId) ? undefined : await programOf(run);
  const problem = await problemOf(driver, run, model, program);
  if (problem !== undefined) {
    throw new Violation("MODEL", `run ${run.id} (${program?.id}, ${run.jobId}): ${problem}`);
  }
}

async function problemOf(
  driver: Driver,
  run: RunRecord,
  model: Model,
  program: Program | undefined,
): Promise<string | undefined> {
  const message = run.error === null ? "" : decodeErrorRecord(run.error).message;
  switch (run.status) {
    case "COMPLETED":
      if (program === undefined) return undefined;
      return model.outputProblem(program, await defaultCodec.decode(run.output ?? ""));
    case "FAILED":
      return program === undefined ? message : model.errorProblem(program, message);
    case "CANCELED":
      return isDropped(run) || driver.canceled.has(run.id) ? undefined : "nobody cancelled it";
    case "TIMED_OUT":
      if (run.jobId === "poisoned" && message.includes("in a row without recording"))
        return undefined;
      return run.jobId === "brief" ? undefined : `it timed out: ${message}`;
    default:
      return `it is ${run.status}`;
  }
}

function factsOf(
  world: World,
  driver: Driver,
  parent: RunRecord,
  byId: ReadonlyMap<string, RunRecord>,
  outputs: ReadonlyMap<string, unknown>,
): Facts {
  return {
    generation: parent.generation,
    childProblem: (value) => {
      const child = byId.get(value.runId);
      if (child === undefined) return `child ${value.runId} is not stored`;
      return childProblem(world, value, child, outputs.get(child.id));
    },
    eventProblem: (runIds) =>
      runIds.length === hearingJobs.length && runIds.every((id) => byId.has(id))
        ? undefined
        : `it started ${runIds.length} runs`,
    // An abandoned attempt may have been faster.
    unregisterProblem: (key, value, path) =>
      value === true ||
      path.includes("/") ||
      parent.generation > 1 ||
      driver.ticking.unregistered.has(runsSchedule(key, parent.id))
        ? undefined
        : `unregister gave ${value}`,
  };
}

function childProblem(
  world: World,
  value: CallValue,
  child: RunRecord,
  output: unknown,
): string | undefined {
  const ends = world.monitor.ends.get(child.id) ?? [];
  if (!ends.some(({ status }) => status === value.status)) {
    return `child ${child.id} never was ${value.status}`;
  }
  if (value.ok !== (value.status === "COMPLETED")) return `ok with status ${value.status}`;
  if (value.ok && textOf(value.output) !== textOf(output)) {
    return `child ${child.id} gave ${textOf(output)}, its parent got ${textOf(value.output)}`;
  }
  return undefined;
}

/** Each event exactly one run per job that hears it. */
function judgeEvents(runs: readonly RunRecord[]): void {
  const heard = new Map<string, string[]>();
  for (const { eventId, jobId, meta } of runs) {
    if (eventId !== null && decodeMeta(meta).eventName === "ev")
      heard.set(eventId, [...(heard.get(eventId) ?? []), jobId]);
  }
  for (const [eventId, jobIds] of heard) {
    const found = jobIds.filter((id) => !isInternal(id)).sort();
    if (found.join() !== hearingJobs.join()) {
      throw new Violation("EVENT", `event ${eventId} started runs of ${found.join() || "no job"}`);
    }
  }
}

/**
 * A wait for an event ends by the first that fits: none that was there in time
 * is missed, and none is received by two waits of which one came after the other.
 */
async function judgeWaits({ view }: World, runs: readonly RunRecord[]): Promise<void> {
  const told: Told[] = [];
  for (const run of runs) {
    if (run.jobId !== EVENT_JOB || decodeMeta(run.meta).eventName !== TOLD) continue;
    const { n } = (await defaultCodec.decode(run.payload ?? "")) as { n: number };
    told.push({ id: run.eventId ?? "", n, at: run.createdAt });
  }
  for (const run of runs) {
    if (isInternal(run.jobId)) continue;
    const tasks = [...view.tasks(run.id).values()];
    const isKept = keptIn(tasks);
    const waits = tasks.filter(({ kind, path }) => kind === "waitForEvent" && isKept(path));
    if (waits.length > 0) judgeWaitsOf(run, waits, awaitsOf((await programOf(run)).commands), told);
  }
}

/** Who waits for a token gets what it was completed with, and times out only if it was not. */
async function judgeTokens({ view }: World, runs: readonly RunRecord[]): Promise<void> {
  for (const run of runs) {
    for (const { kind, path, status, output, data } of view.tasks(run.id).values()) {
      if (kind !== "waitForToken" || status === "WAITING" || status === "CANCELED") continue;
      const { childId = "" } = decodeTaskData(data);
      const token = view.run(childId);
      const isRight =
        token?.status === "COMPLETED"
          ? status === "COMPLETED" && output === token.output
          : status === "FAILED";
      if (!isRight)
        throw new Violation(
          "E8",
          `${path} of run ${run.id} is ${status}, its token ${token?.status}`,
        );
    }
  }
}

/** Each increment on record counted, and counted once. */
async function judgeCounts({ view }: World, runs: readonly RunRecord[]): Promise<void> {
  const ofAll: unknown[] = [];
  for (const run of runs) {
    const own: unknown[] = [];
    for (const { kind, status, output, data } of view.tasks(run.id).values()) {
      if (kind !== "storeIncrement" || status !== "COMPLETED") continue;
      const sums = decodeTaskData(data).stored === undefined ? ofAll : own;
      sums.push(await defaultCodec.decode(output ?? ""));
    }
    judgeSums(`run ${run.id}`, own, own.length);
  }
  const stored = await view.storage.getValue("store:env/count");
  judgeSums("env", ofAll, Number(stored?.value ?? 0));
}

function judgeSums(whose: string, sums: readonly unknown[], last: number): void {
  const expected = Array.from({ length: last }, (_, index) => index + 1);
  const found = [...sums].sort((a, b) => Number(a) - Number(b));
  if (found.join() !== expected.join())
    throw new Violation(
      "STORE",
      `increments of ${whose} gave ${found.join()}, the last is ${last}`,
    );
}

const drops: Readonly<Record<string, readonly string[]>> = {
  rated: ["RATE_LIMITED"],
  skipped: ["RUN_SKIPPED"],
  joined: ["RUN_SKIPPED"],
  replaced: ["RUN_SUPERSEDED"],
  bounced: ["RUN_SUPERSEDED"],
};

/** A rule of its job kept it from starting, or took its place away. */
function isDropped({ jobId, error }: RunRecord): boolean {
  const code = error === null ? undefined : decodeErrorRecord(error).code;
  return drops[jobId]?.includes(code ?? "") === true;
}

function judgeRules(driver: Driver, runs: readonly RunRecord[]): void {
  const of = (jobId: string) => runs.filter((run) => run.jobId === jobId);
  const let_ = of("rated").filter(({ state }) => state?.includes("rateLimit") === true);
  if (let_.length > RATED) throw new Violation("RULE", `${let_.length} runs of rated started`);
  if (of("rated").some(isDropped) && let_.length < RATED)
    throw new Violation("RULE", `rated dropped a run after ${let_.length} starts`);
  for (const jobId of ["skipped", "joined", "replaced", "bounced"]) {
    const kept = of(jobId).filter((run) => !isDropped(run) || driver.canceled.has(run.id));
    if (of(jobId).length > 0 && kept.length === 0)
      throw new Violation("RULE", `all runs of ${jobId} gave way`);
  }
  const last = Math.max(...of("bounced").map(({ createdAt }) => createdAt));
  const lasts = of("bounced").filter(({ createdAt }) => createdAt === last);
  if (lasts.length === 1 && lasts.some(isDropped))
    throw new Violation("RULE", "the last of a burst gave way to an earlier one");
}

/** What a branch received that lost a race was given to nobody. */
function keptIn(tasks: readonly TaskRecord[]): (path: string) => boolean {
  const races = tasks.flatMap(({ path, data }) => {
    const { winner } = decodeTaskData(data);
    return winner === undefined ? [] : [{ path, winner }];
  });
  return (path) =>
    races.every(
      (race) => !path.startsWith(`${race.path}/`) || `${path}/`.startsWith(`${race.winner}/`),
    );
}

interface Told {
  readonly id: string;
  readonly n: number;
  readonly at: number;
}

type Await = Extract<Command, { op: "await" }>;

function judgeWaitsOf(
  run: RunRecord,
  waits: readonly TaskRecord[],
  commands: ReadonlyMap<string, Await>,
  told: readonly Told[],
): void {
  const received = new Map<string, TaskRecord>();
  for (const wait of waits) {
    const { eventId } = decodeTaskData(wait.data);
    if (eventId === undefined) continue;
    const other = received.get(eventId);
    if (other !== undefined && startsAfter(wait, other) !== startsAfter(other, wait)) {
      throw new Violation("E8", `event ${eventId} was received twice in run ${run.id}`);
    }
    received.set(eventId, wait);
  }
  for (const wait of waits) {
    const command = commands.get(wait.path.slice(wait.path.lastIndexOf("/") + 1));
    if (wait.status !== "FAILED" || command === undefined) continue;
    // The deadline was fixed before the record was written, by some calls to the store.
    const surely = wait.startedAt + command.timeoutMs / 2;
    const missed = told.find(
      ({ id, n, at }) => n === command.n && at >= run.createdAt && at < surely && !received.has(id),
    );
    if (missed !== undefined)
      throw new Violation("E8", `${wait.path} of run ${run.id} missed event ${missed.id}`);
  }
}

function startsAfter(one: TaskRecord, other: TaskRecord): boolean {
  return one.startedAt > (other.finishedAt ?? 0);
}

function awaitsOf(commands: readonly Command[], found = new Map<string, Await>()) {
  for (const command of commands) {
    if (command.op === "await") found.set(command.key, command);
    if ("branches" in command) awaitsOf(command.branches, found);
    if ("body" in command) awaitsOf(command.body, found);
    if ("bodies" in command) for (const body of command.bodies) awaitsOf(body, found);
  }
  return found;
}

/** One run per idempotency key, and per place in a parent that makes one. */
function judgeKeys({ ledger }: World, runs: readonly RunRecord[]): void {
  const counts = new Map<string, number>();
  const count = (what: string) => {
    const sum = (counts.get(what) ?? 0) + 1;
    counts.set(what, sum);
    return sum;
  };
  for (const { jobId, idempotencyKey, parentId, parentPath } of runs) {
    if (idempotencyKey !== null) {
      const key = `${jobId} ${idempotencyKey}`;
      if (count(key) > 1) throw new Violation("G12", `two runs have the idempotency key ${key}`);
    } else if (parentId !== null && !isInternal(jobId)) {
      const place = `${parentId} ${parentPath}`;
      // A batch starts its children at places below its own.
      const batch = place.slice(0, place.lastIndexOf("/"));
      const most = ledger.mostEffects(place) || ledger.mostEffects(batch);
      if (count(place) > most) throw new Violation("E9", `more than ${most} children of ${place}`);
    }
  }
}

/** A task that sends an event sends one, also after a crash between send and record. */
async function judgeSent({ ledger }: World, runs: readonly RunRecord[]): Promise<void> {
  const counts = new Map<string, number>();
  for (const run of runs) {
    if (run.jobId !== hearingJobs[0]) continue;
    const { id } = await programOf(run);
    const count = (counts.get(id) ?? 0) + 1;
    counts.set(id, count);
    const most = ledger.mostEffects(`event ${id}`) || 1;
    if (count > most) throw new Violation("E9", `event ${id} was sent ${count} times`);
  }
}

function judgePoison({ ledger, view }: World): void {
  for (const [runId, count] of ledger.poisonings) {
    // Three executions in a row without a record, and one before that left a record.
    const generation = view.run(runId)?.generation ?? 1;
    if (count > 4 * generation)
      throw new Violation("E10", `run ${runId} killed ${count} processes`);
  }
}

function judgeHooks({ ledger, monitor }: World, runs: readonly RunRecord[]): void {
  for (const { id, jobId, status } of runs) {
    if (!["plain", "pooled", "brief"].includes(jobId)) continue;
    const wanted = new Map<string, number>();
    for (const end of monitor.ends.get(id) ?? []) {
      const hook = hookOf(end.status);
      wanted.set(hook, (wanted.get(hook) ?? 0) + 1);
    }
    if (status === "COMPLETED") wanted.set("onStart", 1);
    for (const [hook, least] of wanted) {
      const calls = ledger.hooks.get(`${hook} ${id}`) ?? 0;
      // A hook whose processes die again and again is given up.
      const made = runs.filter(({ state }) => state?.includes(id) === true && state.includes(hook));
      if (calls >= least || made.some((run) => run.status === "TIMED_OUT")) continue;
      throw new Violation("HOOK", `${hook} of run ${id} (${jobId}): ${calls} of ${least}`);
    }
  }
}

function hookOf(status: string): string {
  if (status === "COMPLETED") return "onSuccess";
  return status === "CANCELED" ? "onCancel" : "onFailure";
}

async function judgeLogs({ view }: World, runs: readonly RunRecord[]): Promise<void> {
  for (const run of runs) {
    if (isInternal(run.jobId) || tickingJobs.includes(run.jobId)) continue;
    const lines = await view.storage.listLogs(run.id, { limit: 1_000 });
    const messages = new Set<string>();
    for (const { message } of lines) {
      if (messages.has(message)) throw new Violation("LOG", `twice in run ${run.id}: ${message}`);
      messages.add(message);
    }
    if (run.status !== "COMPLETED") continue;
    for (const command of (await programOf(run)).commands) {
      const message = `log ${command.key} ${run.generation}`;
      if (command.op === "log" && !messages.has(message)) {
        throw new Violation("LOG", `missing in run ${run.id}: ${message}`);
      }
    }
  }
}
