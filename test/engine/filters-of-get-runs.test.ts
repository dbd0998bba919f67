import { expect, test } from "vitest";
import { eventTrigger, invokeTrigger } from "../../src/index.js";
import { codeOf } from "./support.js";
import { describeEngine, type World } from "./world.js";

async function populated(world: World) {
  const client = world.client();
  const quick = client.defineJob({
    id: "quick",
    trigger: eventTrigger({ name: "e" }),
    run: async (payload) => {
      if (payload === "fail") throw new Error("no");
    },
  });
  const slow = client.defineJob({
    id: "slow",
    trigger: invokeTrigger(),
    run: async (_payload, io) => {
      await io.invoke("child", quick, "child");
      await io.wait("day", "1d");
    },
  });
  const ids: Record<string, string> = {};
  ids.ok = (await client.invoke(quick, "ok", { tags: ["red", "big"] })).id;
  world.clock.advance("1m");
  ids.failed = (await client.invoke(quick, "fail", { tags: ["red"] })).id;
  world.clock.advance("1m");
  ids.slow = (await client.invoke(slow, "slow")).id;
  world.clock.advance("1m");
  const sent = await client.sendEvent({ name: "e", id: "ev", payload: "event" });
  ids.event = sent.runIds[0] ?? "";
  await client.drain();
  world.clock.advance("1m");
  ids.child = (await client.getRuns({ parentId: ids.slow ?? "" })).runs[0]?.id ?? "";
  ids.queued = (await client.invoke(quick, "queued")).id;
  ids.delayed = (await client.invoke(quick, "delayed", { delay: "1h" })).id;
  const nameOf = (id: string) => Object.keys(ids).find((name) => ids[name] === id) ?? id;
  const list = async (filter: Parameters<typeof client.getRuns>[0]) =>
    (await client.getRuns(filter)).runs.map((run) => nameOf(run.id));
  return { client, ids, list };
}

describeEngine("getRuns", (world) => {
  test("C4: lists runs newest first and hides internal ones", async () => {
    const { list } = await populated(world());
    expect(await list({})).toEqual(["delayed", "queued", "child", "event", "slow", "failed", "ok"]);
    expect(await list(undefined)).toHaveLength(7);
  });

  test("C4: filters by job, status, tag, event, parent and time, alone and together", async () => {
    const { list, ids } = await populated(world());
    const start = world().clock.now() - 4 * 60_000;
    const at = (minute: number) => new Date(start + minute * 60_000);
    expect(await list({ jobId: "slow" })).toEqual(["slow"]);
    expect(await list({ jobId: ["slow", "nobody"] })).toEqual(["slow"]);
    expect(await list({ jobId: [] })).toEqual([]);
    expect(await list({ status: "COMPLETED" })).toEqual(["child", "event", "ok"]);
    expect(await list({ status: "QUEUED" })).toEqual(["queued"]);
    expect(await list({ status: "PENDING" })).toEqual(["delayed"]);
    expect(await list({ status: ["FAILED", "WAITING"] })).toEqual(["slow", "failed"]);
    expect(await list({ status: [] })).toEqual([]);
    expect(await list({ tag: "red" })).toEqual(["failed", "ok"]);
    expect(await list({ tag: "r" })).toEqual([]);
    expect(await list({ eventId: "ev" })).toEqual(["event"]);
    expect(await list({ parentId: ids.slow ?? "" })).toEqual(["child"]);
    expect(await list({ from: at(1), to: at(3) })).toEqual(["slow", "failed"]);
    expect(await list({ tag: "red", status: "FAILED", jobId: "quick" })).toEqual(["failed"]);
    expect(await list({ tag: "red", status: "FAILED", jobId: "slow" })).toEqual([]);
  });

  test("C4: pages with a cursor that new runs do not disturb", async () => {
    const { client, ids } = await populated(world());
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.getRuns({ take: 3, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.runs.map((run) => run.id));
      cursor = page.nextCursor;
      await client.invoke("quick", "newer");
    } while (cursor !== undefined);
    expect(seen).toEqual(
      ["delayed", "queued", "child", "event", "slow", "failed", "ok"].map((name) => ids[name]),
    );
  });

  test("C4: a page that ends with the last run names no next one", async () => {
    const { client } = await populated(world());
    expect((await client.getRuns({ take: 7 })).nextCursor).toBeUndefined();
    expect((await client.getRuns({ take: 6 })).nextCursor).toBeDefined();
  });

  test.for([
    ["an unknown filter", { job: "x" }, "OPTION_UNKNOWN"],
    ["an unknown status", { status: "DONE" }, "OPTION_INVALID"],
    ["a page of none", { take: 0 }, "OPTION_INVALID"],
    ["a page too large", { take: 1001 }, "OPTION_INVALID"],
    ["a date that is none", { from: "yesterday" }, "OPTION_INVALID"],
    ["a date of null", { to: null }, "OPTION_INVALID"],
    ["an invalid date", { to: new Date("x") }, "OPTION_INVALID"],
    ["a cursor of its own making", { cursor: "5; drop table" }, "OPTION_INVALID"],
  ] as const)("C4: %s is refused", async ([, filter, code]) => {
    expect(
      await codeOf(
        world()
          .client()
          .getRuns(filter as never),
      ),
    ).toBe(code);
  });
});
