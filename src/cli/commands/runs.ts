import type { RunStatus } from "../../core/run-status.js";
import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import { toJson } from "../json.js";
import type { ExitCode, Terminal } from "../main.js";
import { printable } from "../printable.js";
import { span, table, time, words } from "../text.js";

/** Newest first, one per line. */
export async function runs(client: Client, args: Arguments, { out }: Terminal): Promise<ExitCode> {
  const { job, status, tag, take, cursor } = args;
  const page = await client.getRuns({
    ...(job === undefined ? undefined : { jobId: job }),
    // getRuns refuses what is no status, and names them all.
    ...(status === undefined ? undefined : { status: status.toUpperCase() as RunStatus }),
    ...(tag === undefined ? undefined : { tag }),
    ...(take === undefined ? undefined : { take }),
    ...(cursor === undefined ? undefined : { cursor }),
  });
  if (args.json) {
    out(toJson(page));
    return 0;
  }
  if (page.runs.length === 0) {
    out("No runs.");
    return 0;
  }
  const rows = page.runs.map((each) => [
    each.id,
    each.status,
    printable(each.jobId),
    time(each.createdAt),
    each.finishedAt === undefined ? "-" : span(each.createdAt, each.finishedAt),
    words(each.tags),
  ]);
  out(table([["ID", "STATUS", "JOB", "CREATED", "TOOK", "TAGS"], ...rows]));
  if (page.nextCursor !== undefined) out(`More: --cursor ${printable(page.nextCursor)}`);
  return 0;
}
