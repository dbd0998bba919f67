import { expect, test } from "vitest";
import { withFaults } from "../../src/adapter-kit/with-faults.js";
import { defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { turns } from "./drive.js";
import { codeOf, numbered, passingTime } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("retryRun", (world) => {
  test("C9: keeps completed tasks, gives failed ones fresh attempts, and is the same run", async () => {
    const client = world().client();
    const calls: string[] = [];
    let fails = true;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io, context) => {
        const a = await io.runTask("a", () => calls.push("a"));
        const b = await io.runTask(
          "b",
          async (task, inner) => {
            await inner.runTask("kept", () => calls.push("kept"));
            await inner.runTask("flaky", ({ attempt }) => {
              calls.push(`flaky ${attempt}`);
              if (fails) throw new Error("down");
            });
            return task.attempt;
          },
          { retry: { limit: 2, minTimeoutInMs: 1000, randomize: false } },
        );
        return { a, b, attempt: context.run.attempt, isRetry: context.run.isRetry };
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("2s");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ status: "FAILED", attempt: 1 });
    fails = false;
    calls.length = 0;
    expect(await client.retryRun(handle)).toEqual(handle);
    const reopened = await client.getRun(handle);
    expect(reopened).toMatchObject({ status: "QUEUED", attempt: 2 });
    expect(reopened?.error).toBeUndefined();
    expect(reopened?.finishedAt).toBeUndefined();
    await client.drain();
    expect(calls).toEqual(["flaky 1"]);
    expect(await client.getRun(handle)).toMatchObject({
      status: "COMPLETED",
      output: { a: 1, b: 1, attempt: 2, isRetry: true },
    });
  });

  test("C9: every bad end can be retried, a good one and an open run cannot", async () => {
    const client = world().client();
    let isGood = false;
    const job = client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e", schema: numbered.refine(() => isGood) }),
      maxDuration: "1h",
      run: async () => {},
    });
    const slow = client.defineJob({
      id: "slow",
      trigger: invokeTrigger(),
      maxDuration: "1h",
      run: async (payload, io) => {
        if (payload === "fail" && !isGood) throw new Error("no");
        if (!isGood) await io.wait("day", "1d");
      },
    });
    const invalid = (await client.sendEvent({ name: "e", payload: { n: 1 } })).runIds[0] ?? "";
    const failed = (await client.invoke(slow, "fail")).id;
    const canceled = (await client.invoke(slow, "x")).id;
    const timedOut = (await client.invoke(slow, "y")).id;
    const expired = (await client.invoke(slow, "z", { delay: "2h", ttl: "1h" })).id;
    await client.cancelRun(canceled);
    await client.drain();
    expect(await codeOf(client.retryRun(timedOut))).toBe("RUN_NOT_FINAL");
    world().clock.advance("1h");
    await client.drain();
    isGood = true;
    const ids = [invalid, failed, canceled, timedOut, expired];
    const statuses = async () =>
      Promise.all(ids.map(async (id) => (await client.getRun(id))?.status));
    expect(await statuses()).toEqual([
      "INVALID_PAYLOAD",
      "FAILED",
      "CANCELED",
      "TIMED_OUT",
      "CANCELED",
    ]);
    for (const id of ids) await client.retryRun(id);
    await client.drain();
    expect(await statuses()).toEqual([
      "COMPLETED",
      "COMPLETED",
      "COMPLETED",
      "COMPLETED",
      "COMPLETED",
    ]);
    expect(await codeOf(client.retryRun(invalid))).toBe("RUN_NOT_FINAL");
    expect(await codeOf(client.retryRun("nobody"))).toBe("RUN_NOT_FOUND");
    void job;
  });

  test.each([
    { what: "counts anew from the retry", waits: "30m", after: "30m", status: "COMPLETED" },
    { what: "bounds the retried run, too", waits: "2h", after: "1h", status: "TIMED_OUT" },
  ] as const)("C9: maxDuration $what", async ({ waits, after, status }) => {
    const client = world().client();
    client.on("runFailed", () => {});
    let fails = true;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      maxDuration: "1h",
      run: async (_payload, io) => {
        if (fails) throw new Error("no");
        await io.wait("wait", waits);
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("10d");
    fails = false;
    await client.retryRun(handle);
    await client.drain();
    world().clock.advance(after);
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe(status);
  });

  test("C9: a retried run whose sender had no code keeps the time that the retry gave it", async () => {
    let isGood = false;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger({ schema: numbered.refine(() => isGood) }),
      maxDuration: "1h",
      run: async (_payload, io) => io.wait("half", "30m"),
    });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    const handle = await sender.invoke("j", { n: 1 });
    await worker.drain();
    expect((await sender.getRun(handle))?.status).toBe("INVALID_PAYLOAD");
    isGood = true;
    world().clock.advance("10d");
    await sender.retryRun(handle);
    await worker.drain();
    expect((await sender.getRun(handle))?.status).toBe("WAITING");
    world().clock.advance("30m");
    await worker.drain();
    expect(await sender.getRun(handle)).toMatchObject({ status: "COMPLETED", attempt: 2 });
  });

  test("C9: a waiting parent that had its child's failure is not told a second time", async () => {
    const client = world().client();
    let fails = true;
    client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async () => {
        if (fails) throw new Error("no");
        return "fine";
      },
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const { ok } = await io.invokeAndWait("c", "child", {});
        await io.wait("day", "1d");
        return ok;
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    const [child] = (await client.getRuns({ jobId: "child" })).runs;
    fails = false;
    await client.retryRun(child?.id ?? "");
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ status: "COMPLETED", output: false });
    expect((await client.getRun(child?.id ?? ""))?.output).toBe("fine");
  });

  test("C9: two retries at a time reopen the run once", async () => {
    const clients = [world().client(), world().client()];
    let calls = 0;
    const job = clients[0]?.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => {
        calls++;
        throw new Error("no");
      },
    });
    const handle = await clients[0]?.invoke(job ?? "j");
    await clients[0]?.drain();
    const answers = await Promise.all(
      clients.map((client) => codeOf(client.retryRun(handle ?? ""))),
    );
    // The slower one may see what the faster one did as its own doing.
    expect(answers).toContain("no error");
    for (const answer of answers) expect(["RUN_NOT_FINAL", "no error"]).toContain(answer);
    await clients[0]?.drain();
    expect(calls).toBe(2);
    expect((await clients[0]?.getRun(handle ?? ""))?.attempt).toBe(2);
  });
});

describeEngine("replayRun", (world) => {
  test("C8: makes a new run of the same payload, tags, context and account", async () => {
    const client = world().client();
    const seen: unknown[] = [];
    client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      run: async (payload, _io, context) => {
        seen.push([payload, context.event.context, context.account?.id, context.run.isRetry]);
      },
    });
    const sent = await client.sendEvent(
      { name: "e", id: "ev", payload: { n: 1 }, context: { c: 1 } },
      { accountId: "acc" },
    );
    const [id = ""] = sent.runIds;
    await client.drain();
    const replay = await client.replayRun(id);
    expect(replay.id).not.toBe(id);
    await client.drain();
    const other = await client.replayRun(id, { payload: { n: 2 } });
    await client.drain();
    expect(seen).toEqual([
      [{ n: 1 }, { c: 1 }, "acc", false],
      [{ n: 1 }, { c: 1 }, "acc", false],
      [{ n: 2 }, { c: 1 }, "acc", false],
    ]);
    expect(await client.getRun(other)).toMatchObject({ attempt: 1, eventId: "ev" });
  });

  test("C8: an open run can be replayed; its payload is checked anew", async () => {
    const client = world().client();
    let isGood = true;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger({ schema: numbered.refine(() => isGood) }),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const handle = await client.invoke(job, { n: 1 });
    await client.drain();
    expect((await client.replayRun(handle)).id).not.toBe(handle.id);
    isGood = false;
    expect(await codeOf(client.replayRun(handle))).toBe("PAYLOAD_INVALID");
    expect(await codeOf(client.replayRun(handle, { payload: {} }))).toBe("PAYLOAD_INVALID");
    expect(await codeOf(client.replayRun(handle, { data: 1 } as never))).toBe("OPTION_UNKNOWN");
    expect(await codeOf(client.replayRun("nobody"))).toBe("RUN_NOT_FOUND");
  });

  test("G33: a retry that comes twice does not open the run again that has failed in between", async () => {
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => {
        throw new Error("down");
      },
    });
    const other = world().client({ jobs: [job] });
    other.on("runFailed", () => {});
    const handle = await other.invoke("j");
    await other.drain();
    const client = world().client({
      storage: withFaults(world().storage(), [{ method: "commit", call: 1, kind: "lost-answer" }]),
    });
    const retrying = client.retryRun(handle);
    await turns();
    await other.drain();
    expect(await passingTime(world().clock, retrying)).toEqual(handle);
    expect(await other.getRun(handle)).toMatchObject({ status: "FAILED", attempt: 2 });
  });

  test("G33: a cancel that comes twice leaves the run open that was retried in between", async () => {
    const client = world().client({
      storage: withFaults(world().storage(), [{ method: "commit", call: 1, kind: "lost-answer" }]),
    });
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    const other = world().client({ jobs: [job] });
    const handle = await other.invoke(job);
    const canceling = client.cancelRun(handle);
    await turns();
    await other.retryRun(handle);
    expect(await passingTime(world().clock, canceling)).toEqual({ canceled: false });
    expect(await other.getRun(handle)).toMatchObject({ status: "QUEUED", attempt: 2 });
  });

  test("C8: the replay of a child and of a keyed run stands by itself", async () => {
    const client = world().client();
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: async () => 1 });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) =>
        (await io.invokeAndWait("c", child, {}, { idempotencyKey: "k" })).run.id,
    });
    const handle = await client.invoke(parent);
    await client.drain();
    const id = String((await client.getRun(handle))?.output);
    const replay = await client.getRun((await client.replayRun(id)).id);
    expect(replay?.parentId).toBeUndefined();
    expect(replay?.idempotencyKey).toBeUndefined();
  });

  test("C8: a run replayed after its ttl is over runs", async () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "ran" });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    const handle = await sender.invoke("j", {}, { ttl: "1h" });
    world().clock.advance("2h");
    await worker.drain();
    const replay = await sender.replayRun(handle);
    await worker.drain();
    expect(await sender.getRun(replay)).toMatchObject({ status: "COMPLETED", output: "ran" });
  });
});
