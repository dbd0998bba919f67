import type { Run } from "../../core/run.js";
import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import { toJson } from "../json.js";
import type { ExitCode, Terminal } from "../main.js";
import { oneLine, printable } from "../printable.js";
import { taskTree } from "../task-tree.js";
import { span, table, time, words } from "../text.js";
import { unknownRun } from "../unknown-run.js";

/** One run with its tasks as a tree. */
export async function run(client: Client, args: Arguments, { out }: Terminal): Promise<ExitCode> {
  const [id = ""] = args.operands;
  const { take, cursor } = args;
  const found = await client.getRun(id, {
    tasks: true,
    taskDetails: args.json,
    ...(take === undefined ? undefined : { take }),
    ...(cursor === undefined ? undefined : { cursor }),
  });
  if (found === undefined) throw unknownRun(id);
  if (args.json) {
    out(toJson(found));
    return 0;
  }
  out(`Run ${found.id} ${found.status}`);
  out(table(facts(found).map((fact) => ["", ...fact])));
  const tree = taskTree(found.tasks ?? []);
  out(tree === "" ? "No tasks recorded yet." : `Tasks\n${tree}`);
  if (found.nextCursor !== undefined) out(`More tasks: --cursor ${printable(found.nextCursor)}`);
  return 0;
}

function facts(run: Run): [name: string, value: string][] {
  const { startedAt, finishedAt, availableAt, error, parentId, tags } = run;
  const all: [string, string | undefined][] = [
    ["job", `${run.jobId} ${run.version}`],
    ["created", time(run.createdAt)],
    ["started", startedAt && time(startedAt)],
    ["finished", finishedAt && `${time(finishedAt)} (took ${span(run.createdAt, finishedAt)})`],
    ["due", availableAt && time(availableAt)],
    ["executions", `${run.executionCount}${run.attempt > 1 ? `, attempt ${run.attempt}` : ""}`],
    ["parent", parentId],
    ["tags", tags.length === 0 ? undefined : words(tags)],
    ["error", error && `${error.name}: ${oneLine(error.message)}`],
  ];
  return all.flatMap(([name, value]) => (value === undefined ? [] : [[name, printable(value)]]));
}
