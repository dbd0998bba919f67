import { expect, test } from "vitest";
import { invokeTrigger } from "../../src/index.js";
import { describeEngine } from "./world.js";

describeEngine("stats", (world) => {
  test("counts runs by the status that readers see, internal ones left out", async () => {
    const client = world().client();
    expect(await client.stats()).toEqual({ runs: {} });
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      onSuccess: () => {},
      run: async (payload, io) => {
        if (payload === "fail") throw new Error("no");
        if (payload === "wait") await io.wait("day", "1d");
      },
    });
    await client.sendEvent({ name: "nobody hears it" });
    for (const payload of ["ok", "ok", "fail", "wait"]) await client.invoke(job, payload);
    await client.drain();
    await client.invoke(job, "later", { delay: "1h" });
    await client.invoke(job, "now");
    expect(await client.stats()).toEqual({
      runs: { COMPLETED: 2, FAILED: 1, WAITING: 1, PENDING: 1, QUEUED: 1 },
    });
  });
});
