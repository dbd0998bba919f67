import { ConfigError, TaskError } from "../../core/errors.js";
import { finalStatuses } from "../../core/run-status.js";
import { storedTask } from "../../core/run-tables.js";
import type {
  CommitResult,
  CreateElement,
  CreateResult,
  RunWrite,
  TaskWrite,
} from "../../core/storage.js";
import { commitResult, guardOutcome } from "../../core/write-verdict.js";
import type { Context } from "./context.js";
import { createInGeneral } from "./create.js";
import {
  type Driver,
  plannedPlainly,
  type Session,
  type Transaction,
  type UserTransactions,
} from "./driver.js";
import { causedState, reasonOf } from "./failure.js";
import { isolated } from "./isolate.js";
import { pathsOfHeld } from "./met-tasks.js";
import { RowReader } from "./row-reader.js";
import { newTask } from "./task-row.js";

type Work = (tx: unknown) => RunWrite | Promise<RunWrite>;

/** Thrown to have a transaction rolled back that is not to be committed. */
class RolledBack extends Error {
  override readonly name = "RolledBack";
}

/**
 * What users write, and a record, in one transaction of their client (contract E17).
 *
 * @param failed what an error of ours or of the client's is for the engine
 */
export async function commitWith(
  context: Context,
  users: UserTransactions,
  work: Work,
  failed: (error: unknown) => Error,
): Promise<CommitResult> {
  const progress: Progress = { stage: "work" };
  try {
    const stored = await users.begin(async (session, tx) => {
      const write = await Promise.resolve()
        .then(() => work(tx))
        .catch((error: unknown) => {
          progress.thrown = { error };
          throw error;
        });
      progress.stage = "record";
      const result = await storeRecord(context, session, write);
      progress.result = result;
      if (result.result !== "ok") throw new RolledBack();
      progress.stage = "commit";
      return { write, result };
    });
    context.paths.learnFrom(stored.write, stored.result);
    return stored.result;
  } catch (error) {
    const { stage, thrown, result } = progress;
    // Whatever a library has made of it on its way.
    if (thrown !== undefined) throw thrown.error;
    if (result !== undefined && result.result !== "ok") return result;
    if (stage === "record" && causedState(error) === UNIQUE_VIOLATION) return taken(error);
    throw usersFault(stage, error) ?? failed(error);
  }
}

const UNIQUE_VIOLATION = "23505";
/** A statement has failed in this transaction, and somebody goes on as if it had not. */
const IN_FAILED_TRANSACTION = "25P02";

function taken(error: unknown): CommitResult {
  return { ...commitResult("rejected"), reason: reasonOf(error), cause: error };
}

/** How far a transaction has come. */
interface Progress {
  stage: "work" | "record" | "commit";
  thrown?: { readonly error: unknown };
  result?: CommitResult;
}

/** The last statements are ours; that a transaction cannot be committed after them is not. */
function usersFault(stage: Progress["stage"], cause: unknown): TaskError | undefined {
  const state = causedState(cause);
  if (stage === "record" && state === IN_FAILED_TRANSACTION) {
    return new TaskError(
      "TRANSACTION_FAILED",
      "A statement of the callback failed, which ends a PostgreSQL transaction, and its error was caught. Let it be thrown, or use a savepoint.",
      { cause },
    );
  }
  // Constraints that are checked at the commit, and what triggers raise there.
  const isRefused = stage === "commit" && ["22", "23", "P0"].includes(state.slice(0, 2));
  if (!isRefused) return undefined;
  return new TaskError(
    "TRANSACTION_FAILED",
    `The transaction of a task could not be committed: ${reasonOf(cause)}. All of it was rolled back.`,
    { cause },
  );
}

async function storeRecord(
  context: Context,
  session: Session,
  write: RunWrite,
): Promise<CommitResult> {
  const { runId, guard, tasks = [] } = write;
  const paths =
    guard.epoch === undefined
      ? undefined
      : await pathsOfHeld(context, session, { runId, epoch: guard.epoch });
  let result = commitResult("missing");
  for (const task of tasks) {
    // Where it is known there is nothing to be found, unless somebody else has written since.
    const isFree = task.replaces === undefined && paths?.has(task.path) === false;
    result = await storeTask(context, session, write, task, isFree ? paths.lastSeq : 0);
    if (result.result !== "ok") return result;
  }
  return result;
}

/**
 * One statement, which holds the run row until the commit (contract S2). Unlike a batch it waits for the row: those
 * who have it have their transactions under way and want nothing that this one holds.
 */
async function storeTask(
  { schema }: Context,
  session: Session,
  write: RunWrite,
  task: TaskWrite,
  freeUpTo: number,
): Promise<CommitResult> {
  const { runId, guard } = write;
  const [row] = await session.query(recordStatement(schema, task.replaces !== undefined), [
    runId,
    guard.epoch === undefined ? null : String(guard.epoch),
    ...newTask.parameters(storedTask(task, write.writeId)),
    task.path,
    String(task.replaces ?? freeUpTo),
  ]);
  if (row === undefined) return commitResult("missing");
  const read = new RowReader(row);
  const run = {
    epoch: read.number(),
    status: read.string() as CommitResult["status"],
    inbox: read.number(),
    leaseUntil: read.numberOrNull(),
  };
  const outcome = guardOutcome(write, run);
  if (outcome !== undefined) return commitResult(outcome, run);
  if (read.number() === 1) return commitResult("ok", run);
  const name = JSON.stringify(task.path);
  const reason =
    task.replaces === undefined
      ? `Task ${name} has a record.`
      : `Task ${name} has another record than seq ${task.replaces}, or is completed.`;
  return { ...commitResult("rejected", run), reason };
}

/**
 * Nothing is written unless the guard holds, nor of a path that has another record: the last parameter says which one
 * is replaced, or above which seq to look. Columns have names of their own, for clients that give rows as objects.
 */
function recordStatement(schema: string, replaces: boolean): string {
  const columns = newTask.columns.split(", ").length;
  const holds = `($2::integer is null or h.epoch = $2::integer) and h.status <> all ('{${finalStatuses.join(",")}}')`;
  const isOfPath = `t.rk = h.rk and t.path = $${3 + columns}`;
  const seq = `$${4 + columns}::integer`;
  const written = replaces
    ? `update ${schema}.tasks t set (${newTask.columns}) = row(${newTask.values(3)}) from held h ` +
      `where ${holds} and ${isOfPath} and t.seq = ${seq} and t.status <> 'COMPLETED' returning 1`
    : `insert into ${schema}.tasks (rk, ${newTask.columns}) select h.rk, ${newTask.values(3)} from held h ` +
      `where ${holds} and (select count(*) from ${schema}.tasks t where ${isOfPath} and t.seq > ${seq}) = 0 returning 1`;
  return (
    `with held as materialized (select r.rk, r.epoch, r.status, r.inbox, r.lease_until from ${schema}.runs r where r.id = $1 for share), ` +
    `written as (${written}) ` +
    "select h.epoch::text as epoch, h.status as status, h.inbox::text as inbox, h.lease_until::text as lease_until, " +
    "(select count(*) from written)::text as written from held h"
  );
}

/** One creation in a transaction at a time: two would meet in each other's savepoints. */
const turns = new WeakMap<object, Promise<unknown>>();

/**
 * New runs in a transaction that the caller has open. They are there for others when it commits.
 *
 * @throws ConfigError TRANSACTION_NOT_OPEN
 */
export async function createRunsIn(
  context: Context,
  users: UserTransactions,
  tx: unknown,
  element: CreateElement,
): Promise<CreateResult> {
  const session = users.within(tx);
  if (session === undefined) throw notOpen();
  const create = () => createInSavepoint(context, session, element);
  const before = turns.get(tx as object) ?? Promise.resolve();
  const after = before.then(create, create);
  turns.set(tx as object, after);
  return after;
}

async function createInSavepoint(
  context: Context,
  session: Session,
  element: CreateElement,
): Promise<CreateResult> {
  const inside = context.within(savepoints(session));
  const [result] = await isolated(
    [element],
    (some) => createInGeneral(inside, some),
    (reason, cause) => ({ result: "rejected" as const, reason, cause }),
  );
  if (result === undefined) throw new Error("createRuns gave no answer.");
  return result;
}

/** What would be a transaction is a savepoint: if it fails, the caller's transaction goes on without it. */
function savepoints(session: Session): Driver {
  return {
    name: "a transaction of the application",
    query: (text, parameters) => session.query(text, parameters),
    script: (text) => session.script(text),
    planned(text, parameters) {
      return plannedPlainly(this, text, parameters);
    },
    async transaction<T>(work: (inner: Transaction) => Promise<T>): Promise<T> {
      await begin(session);
      try {
        // A NOTIFY is delivered with the caller's commit.
        const last: string[] = [];
        const withCommit = (text: string) => {
          last.push(text);
        };
        const answer = await work({ ...session, withCommit });
        for (const text of last) await session.query(text);
        await session.query("release savepoint pawl");
        return answer;
      } catch (error) {
        await session.query("rollback to savepoint pawl");
        await session.query("release savepoint pawl");
        throw error;
      }
    },
    within: () => undefined,
    begin: () => Promise.reject(notOpen()),
    insert: () => Promise.reject(new Error("No record alone is written in a transaction.")),
    listen: () => Promise.reject(new Error("Nobody listens in a transaction.")),
    close: async () => {},
  };
}

/** Where no transaction is open the server says so, and some clients do before it. */
async function begin(session: Session): Promise<void> {
  try {
    await session.query("savepoint pawl");
  } catch (error) {
    const state = causedState(error);
    throw state === "" || state === "25P01" ? notOpen(error) : error;
  }
}

function notOpen(cause?: unknown): ConfigError {
  return new ConfigError(
    "TRANSACTION_NOT_OPEN",
    "withTransaction takes a transaction that is open: of pg the client that you sent begin to, of postgres.js and PGlite what begin and transaction hand out, with postgres({ transactions }) what its begin hands out.",
    { cause },
  );
}
