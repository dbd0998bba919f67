import { expect, test } from "vitest";
import { eventTrigger, invokeTrigger } from "../../src/index.js";
import { start } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("purge", (world) => {
  test("R19: deletes runs that ended longer ago than asked, and no open one", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (payload, io) => {
        await io.runTask("t", () => 1);
        if (payload === "slow") await io.wait("year", "365d");
      },
    });
    const old = await client.invoke(job);
    const slow = await client.invoke(job, "slow");
    await client.drain();
    world().clock.advance("10d");
    const young = await client.invoke(job);
    await client.drain();
    expect(await client.purge({ olderThan: "11d" })).toEqual({ purged: 0 });
    expect(await client.purge({ olderThan: "5d" })).toEqual({ purged: 1 });
    expect(await client.getRun(old)).toBeUndefined();
    expect((await client.getRun(slow))?.status).toBe("WAITING");
    expect((await client.getRun(young))?.status).toBe("COMPLETED");
    expect(await codeOf(client.cancelRun(old))).toBe("RUN_NOT_FOUND");
    expect(await codeOf(client.retryRun(old))).toBe("RUN_NOT_FOUND");
    expect(await codeOf(client.replayRun(old))).toBe("RUN_NOT_FOUND");
    expect(await codeOf(client.waitForRun(old))).toBe("RUN_NOT_FOUND");
  });

  test("R19: event ids and idempotency keys stay remembered until dedupeRetention is over", async () => {
    const client = world().client();
    let calls = 0;
    const job = client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      run: async () => {
        calls++;
      },
    });
    const keyed = await client.invoke(job, 1, { idempotencyKey: "k" });
    await client.sendEvent({ name: "e", id: "ev" });
    await client.drain();
    world().clock.advance("1d");
    await client.purge({ olderThan: "1h", dedupeRetention: "10d" });
    expect((await client.getRuns()).runs).toEqual([]);
    expect(await client.invoke(job, 1, { idempotencyKey: "k" })).toEqual(keyed);
    expect(await codeOf(client.invoke(job, 2, { idempotencyKey: "k" }))).toBe(
      "IDEMPOTENCY_CONFLICT",
    );
    expect(await client.sendEvent({ name: "e", id: "ev" })).toEqual({ id: "ev", runIds: [] });
    await client.drain();
    expect(calls).toBe(2);
    world().clock.advance("10d");
    await client.purge({ olderThan: "1h" });
    expect((await client.invoke(job, 2, { idempotencyKey: "k" })).id).not.toBe(keyed.id);
    expect((await client.sendEvent({ name: "e", id: "ev" })).runIds).toHaveLength(1);
    await client.drain();
    expect(calls).toBe(4);
  });

  test("R19: the child of an open parent stays, so that the parent can read it", async () => {
    const client = world().client();
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: async () => "c" });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const handle = await io.invoke("c", child, {});
        await io.wait("month", "30d");
        return handle.id;
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    world().clock.advance("20d");
    expect(await client.purge({ olderThan: "1d" })).toEqual({ purged: 0 });
    world().clock.advance("10d");
    await client.drain();
    world().clock.advance("2d");
    expect(await client.purge({ olderThan: "1d" })).toEqual({ purged: 2 });
    expect(await client.getRun(handle)).toBeUndefined();
  });

  test("R19: a run stays until its hook has been called, also if that takes more than one try", async () => {
    const client = world().client();
    const heard: unknown[] = [];
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => "out",
      onSuccess: ({ output }) => {
        heard.push(output);
        if (heard.length === 1) throw new Error("not now");
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("1h");
    expect(await client.purge({ olderThan: "1m" })).toEqual({ purged: 0 });
    await client.drain();
    expect(heard).toEqual(["out", "out"]);
    world().clock.advance("1h");
    // The run, and that of its hook.
    expect(await client.purge({ olderThan: "1m" })).toEqual({ purged: 2 });
    expect(await client.getRun(handle)).toBeUndefined();
  });

  test("R19: what a run was told of stays for a week, so that its worker may be down meanwhile", async () => {
    const other = world().client();
    const tokens = [await other.createToken(), await other.createToken({ timeout: "1h" })];
    const run = await start(world(), async (io) => {
      const [done, expired] = tokens.map(({ id }, index) => io.waitForToken(["t", index], id));
      const event = io.waitForEvent("e", { name: "e" });
      return [await done, await codeOf(expired ?? event), (await event).payload];
    });
    await run.drain();
    await other.completeToken(tokens[0]?.id ?? "", "done");
    await other.sendEvent({ name: "e", id: "told", payload: "heard" });
    await other.sendEvent({ name: "nobody", id: "untold" });
    world().clock.advance("1h");
    await other.drain();
    for (let day = 0; day < 7; day++) {
      await other.purge({ olderThan: 1 });
      world().clock.advance("23h");
    }
    expect(await other.getEvent("untold")).toBeUndefined();
    expect((await run.drain()).output).toEqual(["done", "WAIT_TIMEOUT", "heard"]);
    world().clock.advance("1d");
    await other.purge({ olderThan: 1 });
    expect(await other.getEvent("told")).toBeUndefined();
    for (const token of tokens)
      expect(await codeOf(other.completeToken(token))).toBe("TOKEN_NOT_FOUND");
  });

  test("R19: more runs than one batch holds are all purged", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    await Promise.all(Array.from({ length: 1200 }, () => client.invoke(job)));
    await client.drain();
    world().clock.advance("1h");
    expect(await client.purge({ olderThan: "1m" })).toEqual({ purged: 1200 });
    expect(await client.stats()).toEqual({ runs: {} });
  });

  test("R19: a purge without an age, or with an unknown option, is refused", async () => {
    const client = world().client();
    expect(await codeOf(client.purge({} as never))).toBe("OPTION_INVALID");
    expect(await codeOf(client.purge(undefined as never))).toBe("OPTION_INVALID");
    expect(await codeOf(client.purge({ olderThan: "1d", days: 1 } as never))).toBe(
      "OPTION_UNKNOWN",
    );
    expect(await codeOf(client.purge({ olderThan: null } as never))).toBe("OPTION_INVALID");
  });
});
