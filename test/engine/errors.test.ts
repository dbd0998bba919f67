import { expect, test } from "vitest";
import { errorCodes, invokeTrigger, isPawlError, PawlError } from "../../src/index.js";
import { describeEngine } from "./world.js";

describeEngine("errors", (world) => {
  test("each error of the client is a PawlError of a known code, whose text says what to do", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    const open = await client.invoke(job, {}, { delay: "1h" });
    const calls = [
      () => client.invoke("nobody"),
      () => client.invoke(job, {}, { ttls: 1 } as never),
      () => client.invoke(job, () => {}),
      () => client.invoke(job, {}, { delay: "?" }),
      () => client.retryRun("nobody"),
      () => client.retryRun(open),
      () => client.replayRun("nobody"),
      () => client.cancelRun("nobody"),
      () => client.waitForRun("nobody"),
      () => client.sendEvent({} as never),
      () => client.getRuns({ status: "DONE" as never }),
      () => client.purge({ olderThan: "?" }),
      () => client.stop({ wait: 1 } as never),
    ];
    for (const call of calls) {
      const error = await call().then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(PawlError);
      expect(isPawlError(error)).toBe(true);
      expect(Object.keys(errorCodes)).toContain((error as PawlError).code);
      expect((error as PawlError).message).toMatch(/[.!]$/);
    }
  });

  test("errors that a run threw come back with class, code, cause and details", async () => {
    const client = world().client();
    class Declined extends Error {
      override readonly name = "Declined";
      readonly code = "card_declined";
      readonly attempts = 3;
    }
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) =>
        io.runTask("pay", () => {
          throw new Declined("no funds", { cause: new RangeError("limit") });
        }),
    });
    const handle = await client.invoke(job);
    await client.drain();
    const { error } = (await client.getRun(handle)) ?? {};
    expect(error).toMatchObject({
      name: "Declined",
      message: "no funds",
      code: "card_declined",
      attempts: 3,
      cause: { name: "RangeError" },
    });
    expect(error?.cause).toBeInstanceOf(RangeError);
  });

  test("what run returns and cannot be stored fails the run with the path of the value", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => ({ list: [1, { callback: () => {} }] }),
    });
    const handle = await client.invoke(job);
    await client.drain();
    const run = await client.getRun(handle);
    expect(run).toMatchObject({ status: "FAILED", error: { code: "VALUE_NOT_SERIALIZABLE" } });
    expect(run?.error?.message).toContain("callback");
  });

  test("a long message and stack are stored up to their caps", async () => {
    const client = world().client({ caps: { errorMessageBytes: 100, errorStackBytes: 200 } });
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => {
        throw new Error("x".repeat(10_000));
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    const { error } = (await client.getRun(handle)) ?? {};
    expect(error?.message.length).toBeLessThanOrEqual(100);
    expect(error?.stack?.length).toBeLessThanOrEqual(200);
  });
});
