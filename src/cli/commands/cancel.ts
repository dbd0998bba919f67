import type { Client } from "../../engine/client.js";
import type { Arguments } from "../arguments.js";
import { toJson } from "../json.js";
import type { ExitCode, Terminal } from "../main.js";
import { printable } from "../printable.js";

/** Ends the run; one that had ended stays as it is. */
export async function cancel(
  client: Client,
  args: Arguments,
  { out }: Terminal,
): Promise<ExitCode> {
  const [id = ""] = args.operands;
  const { canceled } = await client.cancelRun(id);
  if (args.json) {
    out(toJson({ id, canceled }));
    return 0;
  }
  const status = canceled ? "CANCELED" : (await client.getRun(id))?.status;
  out(
    canceled
      ? `Run ${printable(id)} is cancelled; pawl retry lets it go on.`
      : `Run ${printable(id)} had ended before as ${status}; nothing was changed.`,
  );
  return 0;
}
