import { expect, test } from "vitest";
import { invokeTrigger } from "../../src/index.js";
import { describeEngine } from "./world.js";

describeEngine("a run", (world) => {
  test("waits for a day, calls each task once, and completes", async () => {
    const calls: string[] = [];
    const client = world().client();
    const job = client.defineJob({
      id: "first",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const a = await io.runTask("a", () => calls.push("a"));
        await io.wait("day", "1d");
        const b = await io.runTask("b", () => calls.push("b"));
        return { a, b };
      },
    });
    const run = await client.invoke(job, {});
    await client.drain();
    expect((await client.getRun(run))?.status).toBe("WAITING");
    world().clock.advance("1d");
    await client.drain();
    expect(await client.getRun(run)).toMatchObject({ status: "COMPLETED", output: { a: 1, b: 2 } });
    expect(calls).toEqual(["a", "b"]);
  });
});
