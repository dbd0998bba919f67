import { expect, test } from "vitest";
import { withFaults } from "../../src/adapter-kit/with-faults.js";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { Machine } from "./drive.js";
import { codeOf, passingTime } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;

describeEngine("idempotency keys", (world) => {
  test("T19: the same key and job give the same run, also after it ended", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const first = await client.invoke(job, { n: 1 }, { idempotencyKey: "k" });
    expect(await client.invoke(job, { n: 1 }, { idempotencyKey: "k" })).toEqual(first);
    await client.drain();
    world().clock.advance("365d");
    expect(await client.invoke(job, { n: 1 }, { idempotencyKey: "k" })).toEqual(first);
    await client.drain();
    expect(await client.getRun(first)).toMatchObject({ idempotencyKey: "k", executionCount: 1 });
    expect((await client.getRuns()).runs).toHaveLength(1);
  });

  test("T19: keys are scoped to the job", async () => {
    const client = world().client();
    const a = client.defineJob({ id: "a", trigger: invokeTrigger(), run: echo });
    const b = client.defineJob({ id: "b", trigger: invokeTrigger(), run: echo });
    const one = await client.invoke(a, 1, { idempotencyKey: "k" });
    const two = await client.invoke(b, 2, { idempotencyKey: "k" });
    expect(one.id).not.toBe(two.id);
  });

  test("G12: the same key with another payload throws IDEMPOTENCY_CONFLICT naming the run", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const first = await client.invoke(job, { n: 1 }, { idempotencyKey: "k" });
    const error = await client
      .invoke(job, { n: 2 }, { idempotencyKey: "k" })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "IDEMPOTENCY_CONFLICT", details: { runId: first.id } });
    expect(String(error)).toContain(first.id);
    expect((await client.getRuns()).runs).toHaveLength(1);
  });

  test("T19: after its ttl the key starts a new run, which then holds it", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const invoke = (n: number) =>
      client.invoke(job, { n }, { idempotencyKey: "k", idempotencyKeyTTL: "1h" });
    const first = await invoke(1);
    await client.drain();
    world().clock.advance("59m");
    expect(await invoke(1)).toEqual(first);
    world().clock.advance("1m");
    const second = await invoke(2);
    expect(second.id).not.toBe(first.id);
    expect(await invoke(2)).toEqual(second);
    expect(await codeOf(invoke(1))).toBe("IDEMPOTENCY_CONFLICT");
  });

  test("G12: many invokes with one key at a time, from started and unstarted processes, make one run", async () => {
    let calls = 0;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => {
        calls++;
      },
    });
    const clients = [
      world().client({ jobs: [job] }),
      world().client({ jobs: [job] }),
      world().client(),
    ];
    await clients[0]?.start();
    const handles = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        clients[index % 3]?.invoke("j", "same", { idempotencyKey: "k" }),
      ),
    );
    expect(new Set(handles.map((handle) => handle?.id)).size).toBe(1);
    await clients[0]?.drain();
    await clients[1]?.drain();
    expect(calls).toBe(1);
  });

  test("T19: a run that was cancelled still holds its key", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const first = await client.invoke(job, 1, { idempotencyKey: "k" });
    await client.cancelRun(first);
    expect(await client.invoke(job, 1, { idempotencyKey: "k" })).toEqual(first);
  });

  test("T20: io.invoke with a key finds the run that has it; io.invokeAndWait waits for it", async () => {
    const client = world().client();
    let calls = 0;
    const child = client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async (payload, io) => {
        await io.wait("day", "1d");
        calls++;
        return payload;
      },
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const handle = await io.invoke("a", child, 1, { idempotencyKey: "k" });
        const result = await io.invokeAndWait("b", child, 1, { idempotencyKey: "k" });
        const conflict = await codeOf(io.invoke("c", child, 2, { idempotencyKey: "k" }));
        return { same: handle.id === result.run.id, ok: result.ok, conflict };
      },
    });
    const existing = await client.invoke(child, 1, { idempotencyKey: "k" });
    const handle = await client.invoke(parent);
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({
      output: { same: true, ok: true, conflict: "IDEMPOTENCY_CONFLICT" },
    });
    expect((await client.getRuns({ jobId: "child" })).runs.map((run) => run.id)).toEqual([
      existing.id,
    ]);
    expect(calls).toBe(1);
  });

  test("T20: a parent that dies after creating a keyed child finds it again", async () => {
    const define = () => [
      defineJob({ id: "child", trigger: invokeTrigger(), run: echo }),
      defineJob({
        id: "parent",
        trigger: invokeTrigger(),
        run: async (_payload, io) => (await io.invoke("a", "child", 1, { idempotencyKey: "k" })).id,
      }),
    ];
    const doomed = new Machine(world(), { jobs: define() });
    const handle = await doomed.client.invoke("parent");
    doomed.dieAtCommit(1);
    void doomed.client.drain();
    const heir = world().client({ jobs: define() });
    const children = async () => (await heir.getRuns({ jobId: "child" })).runs;
    await heir.drain();
    while ((await children()).length === 0) await heir.drain();
    world().clock.advance("31s");
    await heir.drain();
    const [child] = await children();
    expect(await heir.getRun(handle)).toMatchObject({ status: "COMPLETED", output: child?.id });
    expect(await children()).toHaveLength(1);
  });

  test("G33: an answer that was lost makes neither a second run nor a conflict", async () => {
    const storage = withFaults(world().storage(), [
      { method: "createRuns", call: 1, kind: "lost-answer" },
      { method: "createRuns", call: 3, kind: "lost-answer" },
    ]);
    const client = world().client({ storage });
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const plain = await passingTime(world().clock, client.invoke(job, 1));
    const keyed = await passingTime(world().clock, client.invoke(job, 1, { idempotencyKey: "k" }));
    await client.drain();
    const { runs } = await client.getRuns();
    expect(runs.map((run) => run.id).sort()).toEqual([plain.id, keyed.id].sort());
    expect(runs.every((run) => run.executionCount === 1)).toBe(true);
  });
});
