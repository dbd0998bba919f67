import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import { toJson } from "../json.js";
import type { ExitCode, Terminal } from "../main.js";
import { printable } from "../printable.js";

/** Makes the run due again; a worker of the application goes on with it. */
export async function retry(client: Client, args: Arguments, { out }: Terminal): Promise<ExitCode> {
  const [id = ""] = args.operands;
  await client.retryRun(id);
  const found = await client.getRun(id);
  if (args.json) out(toJson({ id, status: found?.status }));
  else out(`Run ${printable(id)} is due again; the next free worker that has its job takes it.`);
  return 0;
}
