import { holderOf, type Identity, keyName, planCreation } from "../../core/creation.js";
import type { CreateElement, CreateResult, NewRun } from "../../core/storage.js";
import type { StoredRun } from "../../core/stored-run.js";
import { arrayText } from "./array.js";
import { type Context, Overtaken } from "./context.js";
import type { Row, Session } from "./driver.js";
import { earliest, hintOf } from "./due-hint.js";
import { isUniqueViolation } from "./failure.js";
import { insertAll, insertMissing } from "./new-runs.js";
import { RowReader } from "./row-reader.js";
import { Values } from "./values.js";

/** Throws `Overtaken` if somebody made one of the runs meanwhile. */
export async function createElements(
  context: Context,
  elements: readonly CreateElement[],
): Promise<CreateResult[]> {
  const answers = elements.every(isPlain) ? await createPlain(context, elements) : undefined;
  return answers ?? createInGeneral(context, elements);
}

/** It compares and writes no value, and its runs have no key: new ids are all it takes. */
function isPlain({ expect = [], values = [], groups }: CreateElement): boolean {
  if (expect.length > 0 || values.length > 0) return false;
  return groups.every(({ first, further = [] }) =>
    [first, ...further].every(({ idempotencyKey }) => typeof idempotencyKey !== "string"),
  );
}

const nothingKnown = { holder: () => undefined, versionOf: () => 0 };

/** One statement, which makes all of them or none. Undefined: an id was used before. */
async function createPlain(
  context: Context,
  elements: readonly CreateElement[],
): Promise<CreateResult[] | undefined> {
  const { clock, driver, hints, schema } = context;
  const now = await clock.atLeast(driver);
  const plans = elements.map((element) => planCreation(element, nothingKnown, now));
  const runs = plans.flatMap((plan) => plan.runs);
  const [first, ...others] = runs;
  if (first === undefined) return plans.map(({ answer }) => answer);
  try {
    const dueAt = hintOfNew(runs, now);
    const payload = dueAt === undefined ? null : (hints?.payload(dueAt) ?? null);
    const hint = { payload, channel: hints?.channel ?? null };
    const { text, parameters } = insertAll(schema, [first, ...others], hint);
    const [made] = await driver.query(text, parameters);
    if (Number(made?.[0]) < runs.length) return undefined;
    for (const { run } of runs) context.learnNew(run);
    return plans.map(({ answer }) => answer);
  } catch (error) {
    if (isUniqueViolation(error)) return undefined;
    throw error;
  }
}

function hintOfNew(runs: readonly StoredRun[], now: number): number | undefined {
  return earliest(runs.map((stored) => hintOf(undefined, stored, now)));
}

/** In one transaction. */
export async function createInGeneral(
  context: Context,
  elements: readonly CreateElement[],
): Promise<CreateResult[]> {
  const made: StoredRun[] = [];
  const answers = await context.driver.transaction(async (session) => {
    const values = await Values.of(context, session, {
      written: elements.flatMap((element) => element.values?.map(({ key }) => key) ?? []),
      compared: elements.flatMap((element) => element.expect?.map(({ key }) => key) ?? []),
    });
    const runs = elements.flatMap(({ groups }) =>
      groups.flatMap(({ first, further = [] }) => [first, ...further]),
    );
    const identities = await Identities.of(context, session, runs);
    const now = await context.clock.atLeast(session);
    const answers = elements.map((element) => {
      const known = {
        holder: (run: NewRun) => identities.holder(run, now),
        versionOf: (key: string) => values.versionOf(key),
      };
      const plan = planCreation(element, known, now);
      for (const stored of plan.runs) {
        identities.add(stored);
        made.push(stored);
      }
      for (const value of plan.values) values.write(value);
      return plan.answer;
    });
    await storeNewRuns(context, session, made, identities);
    await values.store(context, session);
    context.tell(session, hintOfNew(made, now));
    return answers;
  });
  for (const { run } of made) context.learnNew(run);
  return answers;
}

/** Throws `Overtaken` if one of them is there already, or its key is somebody else's. */
export async function storeNewRuns(
  { schema }: Context,
  session: Session,
  runs: readonly StoredRun[],
  identities: Identities,
): Promise<void> {
  const [first, ...others] = runs;
  if (first === undefined) return;
  const { text, parameters } = insertMissing(schema, [first, ...others]);
  const [made] = await session.query(text, parameters);
  if (Number(made?.[0]) < runs.length) throw new Overtaken("a run was made meanwhile");
  await storeKeys(schema, session, runs, identities);
}

async function storeKeys(
  schema: string,
  session: Session,
  runs: readonly StoredRun[],
  identities: Identities,
): Promise<void> {
  const keyed = runs.filter(({ run }) => run.idempotencyKey !== null);
  if (keyed.length === 0) return;
  // Two who make a run of one key at a time: the second waits here for the first. It may only take
  // the place of the holder it has seen: a look at the holder's run would not show the first's,
  // which is newer than this statement's snapshot.
  const rows = await session.query(
    `insert into ${schema}.keys as k (job_id, key, run_id) select * from unnest($1::text[], $2::text[], $3::text[]) ` +
      "on conflict (job_id, key) do update set run_id = excluded.run_id where k.run_id = any($4::text[]) returning run_id",
    [
      arrayText(keyed.map(({ run }) => run.jobId)),
      arrayText(keyed.map(({ run }) => run.idempotencyKey)),
      arrayText(keyed.map(({ run }) => run.id)),
      arrayText(identities.formerHolders),
    ],
  );
  if (rows.length < keyed.length) throw new Overtaken("an idempotency key was taken meanwhile");
}

const identityColumns =
  "x.id, x.job_id, x.idempotency_key, x.fingerprint, x.created_at::text, x.create_id, x.key_expires_at::text";

/** Who has the ids and idempotency keys that somebody wants to use. */
export class Identities {
  readonly #byId = new Map<string, Identity>();
  readonly #byKey = new Map<string, Identity>();
  /** Ids of the runs under these keys, also of those that do not count any more. */
  formerHolders: readonly string[] = [];

  static async of(
    { schema }: Context,
    session: Session,
    runs: readonly NewRun[],
  ): Promise<Identities> {
    const identities = new Identities();
    if (runs.length === 0) return identities;
    const keyed = runs.filter(({ idempotencyKey }) => typeof idempotencyKey === "string");
    const keys = [
      arrayText(keyed.map(({ jobId }) => jobId)),
      arrayText(keyed.map(({ idempotencyKey }) => idempotencyKey ?? null)),
    ];
    const holders =
      keyed.length === 0
        ? []
        : await session.query(
            `select k.job_id, k.key, k.run_id from ${schema}.keys k join unnest($1::text[], $2::text[]) as u(job_id, key) using (job_id, key)`,
            keys,
          );
    identities.formerHolders = holders.map(([, , runId]) => runId ?? "");
    const ids = [...new Set([...runs.map(({ id }) => id), ...identities.formerHolders])];
    const found = await session.query(
      `select ${identityColumns}, null from ${schema}.runs x where x.id = any($1::text[]) union all ` +
        `select ${identityColumns}, x.until::text from ${schema}.tombstones x where x.id = any($1::text[])`,
      [arrayText(ids)],
    );
    for (const row of found) identities.#know(identityOf(row));
    for (const [jobId = "", key = "", runId] of holders) {
      const holder = identities.#byId.get(runId ?? "");
      const name = keyName({ jobId: jobId ?? "", idempotencyKey: key });
      if (holder !== undefined && name !== null) identities.#byKey.set(name, holder);
    }
    return identities;
  }

  holder(run: NewRun, now: number): Identity | undefined {
    return holderOf(run, this.#byId.get(run.id), this.#byKey.get(keyName(run) ?? ""), now);
  }

  add(stored: StoredRun): void {
    this.#byId.set(stored.run.id, stored);
    const key = keyName(stored.run);
    if (key !== null) this.#byKey.set(key, stored);
  }

  /** A run that took the id of a purged one comes before what is left of that. */
  #know(identity: Identity): void {
    const known = this.#byId.get(identity.run.id);
    if (known === undefined || known.until !== undefined) this.#byId.set(identity.run.id, identity);
  }
}

function identityOf(row: Row): Identity {
  const read = new RowReader(row);
  const run = {
    id: read.string(),
    jobId: read.string(),
    idempotencyKey: read.stringOrNull(),
    fingerprint: read.stringOrNull(),
    createdAt: read.number(),
  };
  const createId = read.stringOrNull();
  const keyExpiresAt = read.numberOrNull();
  const until = read.numberOrNull();
  return { run, createId, keyExpiresAt, ...(until === null ? undefined : { until }) };
}
