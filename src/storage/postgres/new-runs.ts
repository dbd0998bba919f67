import type { StoredRun } from "../../core/stored-run.js";
import {
  arrayParametersOf,
  arraysOf,
  cellsOf,
  isJoinable,
  joinedOf,
  joinedParametersOf,
  namesOf,
  onceOf,
  parametersOf,
} from "./column.js";
import type { Parameter } from "./driver.js";
import { type RunColumn, written } from "./run-row.js";

export type NewRuns = readonly [StoredRun, ...StoredRun[]];

interface Statement {
  readonly text: string;
  readonly parameters: readonly Parameter[];
}

interface Inserts {
  readonly all: string;
  readonly missing: string;
}

/** How runs that are inserted together travel: of what is the same in all of them there is one parameter. */
class NewRunForm {
  readonly #each: readonly RunColumn[];
  readonly #once: readonly RunColumn[];
  readonly #texts: readonly RunColumn[];
  readonly #isJoined: boolean;
  readonly #inserts = new Map<string, Inserts>();

  constructor(each: readonly RunColumn[], way: "joined" | "arrays") {
    this.#each = each;
    this.#once = written.filter((column) => !each.includes(column));
    this.#texts = each.filter(({ type }) => type === "text");
    this.#isJoined = way === "joined";
  }

  carries(runs: NewRuns): boolean {
    if (!this.#isJoined) return true;
    return this.#texts.every(({ cell }) => runs.every((run) => isJoinableCell(cell(run))));
  }

  parameters(runs: NewRuns): Parameter[] {
    const each = this.#isJoined ? joinedParametersOf : arrayParametersOf;
    return [...each(this.#each, runs), ...parametersOf(this.#once, runs[0])];
  }

  inserts(schema: string): Inserts {
    const known = this.#inserts.get(schema);
    if (known !== undefined) return known;
    const inserts = this.#newInserts(schema);
    this.#inserts.set(schema, inserts);
    return inserts;
  }

  #newInserts(schema: string): Inserts {
    const arrays = this.#isJoined ? joinedOf(this.#each, 1) : arraysOf(this.#each, 1);
    const [ids = ""] = arrays;
    const cells = [...cellsOf(this.#each, "u"), ...onceOf(this.#once, this.#each.length + 1)];
    const insert =
      `insert into ${schema}.runs (${namesOf([...this.#each, ...this.#once])}) select ${cells.join(", ")} ` +
      `from unnest(${arrays.join(", ")}) as u(${namesOf(this.#each)})`;
    const gone = `select from unnest(${ids}) as i(id) cross join lateral (select from ${schema}.tombstones x where x.id = i.id limit 1) as gone`;
    const payload = `$${cells.length + 1}`;
    const channel = `$${cells.length + 2}`;
    return {
      all:
        `with made as (${insert} where not exists (${gone}) returning 1), ` +
        // A part without rows that are asked for is not executed.
        `told as materialized (select pg_notify(${channel}, ${payload}) where ${payload}::text is not null) ` +
        "select (select count(*) from made)::text, (select count(*) from told)::text",
      missing: `with made as (${insert} on conflict (id) do nothing returning 1) select count(*)::text from made`,
    };
  }
}

const columnsOf = (...names: readonly string[]) =>
  names.flatMap((name) => written.filter((column) => column.name === name));

/** Runs are expected to differ in these. */
const own = columnsOf("id", "create_id", "payload", "admitted", "due_at", "wake_at");
/** In each of these lists they may all be the same: runs of one job, that nobody holds, and that are nothing but runs of it. */
const ofJob = columnsOf(
  ...["job_id", "version", "internal", "priority", "rank", "max_duration_ms", "deadline_at"],
);
const ofHolder = columnsOf(
  ...["status", "epoch", "worker_id", "lease_until", "execution_count", "started_at"],
);
const ofOrigin = columnsOf(
  ...["limit_keys", "tags", "event_id", "parent_id", "parent_path"],
  ...["idempotency_key", "fingerprint", "key_expires_at", "meta", "state"],
);
const lists: readonly (readonly RunColumn[])[] = [ofJob, ofHolder, ofOrigin];
/** They are not expected to differ in these. */
const common = written.filter((column) => ![own, ...lists].flat().includes(column));

const fullForm = new NewRunForm(written, "arrays");
/** By the lists in which runs differ. */
const joinedForms = new Map<string, NewRunForm>();

/** The smallest that fits. Each is a statement that connections prepare: of the few that there are most need one or two. */
function formOf(runs: NewRuns): NewRunForm {
  if (!areSame(common, runs)) return fullForm;
  const form = joinedForm(lists.filter((list) => !areSame(list, runs)));
  return form.carries(runs) ? form : fullForm;
}

function joinedForm(differing: readonly (readonly RunColumn[])[]): NewRunForm {
  const name = differing.map((list) => lists.indexOf(list)).join();
  let form = joinedForms.get(name);
  if (form === undefined) {
    form = new NewRunForm([...own, ...differing.flat()], "joined");
    joinedForms.set(name, form);
  }
  return form;
}

function areSame(columns: readonly RunColumn[], runs: NewRuns): boolean {
  return columns.every(({ cell }) => {
    const first = cell(runs[0]);
    return runs.every((run) => cell(run) === first);
  });
}

function isJoinableCell(cell: string | number | null): boolean {
  return typeof cell !== "string" || isJoinable(cell);
}

/**
 * Inserts in the given order, all or none, and answers how many. None if one of the ids is that of a purged run; one
 * that is there violates its uniqueness.
 * @param hint a notification that is sent with it
 */
export function insertAll(
  schema: string,
  runs: NewRuns,
  hint: { readonly payload: Parameter; readonly channel: Parameter },
): Statement {
  const form = formOf(runs);
  return {
    text: form.inserts(schema).all,
    parameters: [...form.parameters(runs), hint.payload, hint.channel],
  };
}

/** Inserts in the given order, and answers how many were not there. */
export function insertMissing(schema: string, runs: NewRuns): Statement {
  const form = formOf(runs);
  return { text: form.inserts(schema).missing, parameters: form.parameters(runs) };
}
