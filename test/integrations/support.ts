import { type Client, defineJob, type Integrations, type IoWith, invokeTrigger } from "pawl";
import { Machine, Started } from "../engine/drive.js";
import { until } from "../engine/support.js";
import type { World } from "../engine/world.js";

type Body<I> = (io: IoWith<I>) => Promise<unknown>;

function jobWith<I extends Integrations>(integrations: I, run: Body<I>) {
  return defineJob({
    id: "job",
    trigger: invokeTrigger(),
    integrations: integrations as never,
    run: async (_payload, io) => run(io as IoWith<I>),
  });
}

/** A run whose job has these integrations. */
export async function startWith<I extends Integrations>(
  world: World,
  integrations: I,
  run: Body<I>,
  accountId?: string,
  prepare: (client: Client) => void = () => {},
): Promise<Started> {
  const client = world.client({ jobs: [jobWith(integrations, run)] });
  // A failed run that nobody listens to prints a line.
  client.on("runFailed", () => {});
  prepare(client);
  const { id } = await client.invoke("job", {}, accountId === undefined ? {} : { accountId });
  return new Started(world, client, id);
}

/** The process dies after the first call, instead of recording it; another one takes the run over. */
export async function crashAfterCall<I extends Integrations>(
  world: World,
  integrations: I,
  run: Body<I>,
  commit = 1,
): Promise<Started> {
  const job = jobWith(integrations, run);
  const machine = new Machine(world, { jobs: [job] });
  const { id } = await machine.client.invoke(job, {});
  machine.dieAtCommit(commit);
  void machine.client.drain();
  await until(() => machine.isFrozen);
  world.clock.advance("1m");
  const heir = world.client({ jobs: [job] });
  heir.on("runFailed", () => {});
  return new Started(world, heir, id);
}
