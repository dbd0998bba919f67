import { encodeErrorRecord, toErrorRecord } from "../../core/error-record.js";
import { ConfigError } from "../../core/errors.js";
import type { Io } from "../../core/io.js";
import { childPath, type Key } from "../../core/key.js";
import type { TaskRecord } from "../../core/storage.js";
import { encodeTaskData } from "../../core/task-data.js";
import { runInScope } from "../async-context.js";
import { encodeValue } from "../encode.js";
import type { Op } from "../op.js";
import { receiptsOf } from "../received-events.js";
import { Scope } from "../scope.js";
import { rejected } from "./run-task.js";

export type Branches = Readonly<Record<string, (io: Io) => unknown>>;

type Winner = { readonly name: string } & (
  | { readonly value: unknown }
  | { readonly error: unknown }
);

/** A race of named branches. The first to settle is recorded, and the others are disarmed in that commit. */
export function waitForAny<R>(scope: Scope, key: Key, branches: Branches): Promise<R> {
  const entries = Object.entries(branches);
  if (entries.length === 0 || entries.some(([, branch]) => typeof branch !== "function")) {
    return rejected(
      new ConfigError(
        "OPTION_INVALID",
        "io.waitForAny takes an object of functions, at least one: { paid: (io) => io.wait(…) }.",
      ),
    );
  }
  const { execution } = scope;
  const decode = ({ output }: TaskRecord) => execution.engine.codec.decode(output ?? "");
  return execution.call<R>(scope, key, "any", decode, (op) => {
    const all = new Scope(execution, op.path, scope.tag, { parent: scope });
    const race = entries.map(([name, branch]) => runBranch(op, all, name, branch));
    void Promise.race(race).then((winner) => decide(op, all, winner));
  });
}

async function runBranch(
  op: Op,
  all: Scope,
  name: string,
  branch: (io: Io) => unknown,
): Promise<Winner> {
  const scope = new Scope(op.scope.execution, childPath(op.path, name), op.scope.tag, {
    parent: all,
  });
  scope.enter();
  try {
    return { name, value: await runInScope(scope, () => branch(scope.execution.host.ioOf(scope))) };
  } catch (error) {
    return { name, error };
  } finally {
    // Still open as far as parking goes, until the winner is on record.
    queueMicrotask(() => scope.exit());
  }
}

async function decide(op: Op, all: Scope, winner: Winner): Promise<void> {
  const { execution, tag } = op.scope;
  const winnerPath = childPath(op.path, winner.name);
  await execution.hold(async () => {
    try {
      if ("error" in winner) throw winner.error;
      const output = await encodeValue(execution.engine, winner, `output of "${op.path}"`);
      disarm(op, all);
      execution.received.decided(op.path, winnerPath);
      const data = encodeTaskData({ winner: winnerPath });
      execution.record(op, { status: "COMPLETED", output, attempts: 1, data }, "settle");
    } catch (error) {
      disarm(op, all);
      execution.received.decided(op.path, winnerPath);
      const failure = encodeErrorRecord(toErrorRecord(error));
      execution.record(
        op,
        {
          status: "FAILED",
          error: failure,
          attempts: 1,
          data: encodeTaskData({ tag, winner: winnerPath }),
        },
        "settle",
      );
    }
  });
}

/** Waits and retries of the losers are cancelled on record; their code never goes on. */
function disarm(op: Op, all: Scope): void {
  const { execution } = op.scope;
  for (const open of [...execution.ops.values()]) {
    if (!open.path.startsWith(`${op.path}/`)) continue;
    open.waiting = undefined;
    if (
      open.record !== undefined &&
      (open.record.status === "WAITING" || open.record.status === "RUNNING")
    ) {
      const data = encodeTaskData({ tag: open.scope.tag, ...receiptsOf(open.record) });
      execution.record(open, { status: "CANCELED", data });
    }
    execution.ops.delete(open.path);
  }
  all.closeTree();
}
