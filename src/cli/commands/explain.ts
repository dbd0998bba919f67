import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import { toJson } from "../json.js";
import type { ExitCode, Terminal } from "../main.js";
import { printable } from "../printable.js";
import { unknownRun } from "../unknown-run.js";

/** Why the run is not moving, in one sentence. */
export async function explain(
  client: Client,
  args: Arguments,
  { out }: Terminal,
): Promise<ExitCode> {
  const [id = ""] = args.operands;
  const explanation = await client.explainRun(id);
  if (explanation === undefined) throw unknownRun(id);
  out(args.json ? toJson({ id, explanation }) : printable(explanation));
  return 0;
}
