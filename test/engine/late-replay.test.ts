import { expect, test } from "vitest";
import type { Context, Io } from "../../src/index.js";
import { jobOf, start, turns } from "./drive.js";
import { describeEngine, type World } from "./world.js";

/**
 * Code that gets to its wait later when it is replayed than it did at first: the
 * replay parks before, and what the wait was to hear comes while nobody listens.
 */
function lateWhenReplayed(wait: (io: Io) => Promise<unknown>) {
  return (io: Io, context: Context) => {
    const late = async () => {
      await turns(context.run.executionCount === 1 ? 0 : 60);
      return wait(io);
    };
    return Promise.all([io.wait("hour", "1h"), late()]);
  };
}

async function inSteps(world: World, run: Awaited<ReturnType<typeof start>>) {
  for (let step = 0; step < 8; step++) {
    await run.drain();
    await turns(10);
    await run.drain();
    world.clock.advance("15m");
  }
  return run.drain();
}

describeEngine("a replay that gets to a recorded wait after it has parked", (world) => {
  test("hears of a child that ended meanwhile", async () => {
    const child = jobOf(async (io) => io.wait("half", "30m"), { id: "child" });
    const run = await start(
      world(),
      lateWhenReplayed(async (io) => (await io.invokeAndWait("child", "child", {})).ok),
      { client: { jobs: [child] } },
    );
    expect(await inSteps(world(), run)).toMatchObject({
      status: "COMPLETED",
      output: [undefined, true],
    });
  });

  test("hears of a child that ended in time, also if its timeout has passed since", async () => {
    const child = jobOf(async (io) => io.wait("half", "30m"), { id: "child" });
    const run = await start(
      world(),
      lateWhenReplayed(
        async (io) => (await io.invokeAndWait("child", "child", {}, { timeout: "59m" })).ok,
      ),
      { client: { jobs: [child] } },
    );
    expect(await inSteps(world(), run)).toMatchObject({ output: [undefined, true] });
  });

  test("hears of a token that was completed meanwhile", async () => {
    const { id } = await world().client().createToken();
    const run = await start(
      world(),
      lateWhenReplayed((io) => io.waitForToken("token", id)),
    );
    await run.drain();
    world().clock.advance("30m");
    await run.client.completeToken(id, "yes");
    expect(await inSteps(world(), run)).toMatchObject({ output: [undefined, "yes"] });
  });
});
