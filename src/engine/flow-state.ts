import { ConfigError } from "../core/errors.js";
import { type FlowRule, flowRules } from "../core/flow.js";
import type { AnyJob } from "../core/job.js";
import { assertText } from "../core/key.js";
import type { RunRecord, StoredValue, ValueWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";

/** What the rules of its job have decided about a run; kept in its row. */
export interface FlowState {
  /** These let it through. */
  readonly passed: readonly FlowRule[];
  /** A retried run is no new start, but an open one again. */
  readonly generation: number;
  /** Integrations whose connection is missing. */
  readonly connections?: readonly string[];
  readonly wait?: FlowWait;
}

export interface FlowWait {
  readonly rule: "debounce" | "throttle";
  readonly until: number;
  /** Of the value that it was decided from: whoever ends the run may not have the job's code. */
  readonly key: string;
}

export function flowStateOf({ state, generation, lastSeq }: RunRecord): FlowState {
  const known: FlowState =
    state === null ? { passed: [], generation: 1 } : (JSON.parse(state) as FlowState);
  // What has begun is no start: a rule that came with a deploy does not end it in the middle.
  const passed = lastSeq > 0 ? flowRules : known.passed;
  if (known.generation === generation) return { ...known, passed };
  return { ...known, generation, passed: passed.filter((rule) => rule !== "singleton") };
}

/** The rules that have not let it through. */
export function rulesAhead(job: AnyJob, { passed }: FlowState): FlowRule[] {
  return flowRules.filter((rule) => job.options[rule] !== undefined && !passed.includes(rule));
}

const PREFIX = "flow:";

/** Key of the value that all starts under one rule, job and key share; no job id has a slash. */
export function flowKey(job: AnyJob, rule: FlowRule, payload: unknown): string {
  const value: unknown = job.options[rule]?.key?.(payload) ?? "";
  const where = `${rule}.key of job "${job.id}"`;
  if (typeof value !== "string") {
    throw new ConfigError("OPTION_INVALID", `${where} must give a string, got ${typeof value}.`);
  }
  if (value !== "") assertText(value, where, { maxBytes: 512 });
  return `${PREFIX}${job.id}/${rule}/${value}`;
}

/** The same for starts that share all their values: they are decided one after the other in this process. */
export function flowTurn(job: AnyJob, payload: unknown): string {
  const rules = flowRules.filter((rule) => job.options[rule] !== undefined);
  return rules.map((rule) => flowKey(job, rule, payload)).join(" ");
}

export interface KnownFlow<State> {
  readonly state: State | undefined;
  /** 0 if there is none. */
  readonly version: number;
}

export async function readFlow<State>(engine: Engine, key: string): Promise<KnownFlow<State>> {
  const found = await engine.patience.until(() => engine.rawStorage.getValue(key));
  return found === undefined ? { state: undefined, version: 0 } : parsed(found);
}

function parsed<State>({ value, version }: StoredValue): KnownFlow<State> {
  return { state: JSON.parse(value) as State, version };
}

/** Who has the place of a singleton. */
export interface SingletonState {
  readonly runId: string;
  /**
   * The runs that it takes the place of: they must have ended before this one
   * starts. Several, since a run may give way before it has seen to the one before.
   */
  readonly replaces?: readonly string[];
}

/** What a decision makes of the value that it was made from. */
export function flowValue(key: string, version: number, state: unknown): ValueWrite {
  return { key, value: JSON.stringify(state), expected: version };
}

/** The open runs under a singleton's key, other than this one. */
export async function openOthers(
  engine: Engine,
  state: SingletonState | undefined,
  id: string,
): Promise<string[]> {
  const holders = state === undefined ? [] : [...(state.replaces ?? []), state.runId];
  const others = holders.filter((holder) => holder !== id);
  const open = await Promise.all(others.map((other) => isOpen(engine, other)));
  return others.filter((_, index) => open[index] === true);
}

const PAGE = 500;

/** Deletes what says nothing any more, so that keys of long ago leave nothing behind. */
export async function purgeFlow(engine: Engine, now: number): Promise<void> {
  const { rawStorage } = engine;
  let after: string | undefined;
  for (;;) {
    const page = await rawStorage.listValues(PREFIX, {
      limit: PAGE,
      ...(after === undefined ? undefined : { after }),
    });
    await Promise.all(page.map((stored) => purgeOne(engine, stored, now)));
    after = page.at(-1)?.key;
    if (page.length < PAGE) return;
  }
}

async function purgeOne(
  engine: Engine,
  { key, value, version }: StoredValue & { readonly key: string },
  now: number,
): Promise<void> {
  const state = JSON.parse(value) as { readonly until?: number; readonly runId?: string };
  const isOver =
    state.until === undefined ? !(await isOpen(engine, state.runId ?? "")) : state.until < now;
  if (isOver) await engine.rawStorage.deleteValue(key, version);
}

async function isOpen(engine: Engine, runId: string): Promise<boolean> {
  const run = await engine.reader.read(runId);
  return run !== undefined && run.finishedAt === null;
}
