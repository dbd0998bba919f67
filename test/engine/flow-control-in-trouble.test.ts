import { expect, test } from "vitest";
import { jobOf, Machine, turns } from "./drive.js";
import { describeEngine, type World } from "./world.js";

type Client = ReturnType<World["client"]>;

async function statuses(client: Client, jobId: string): Promise<string[]> {
  const { runs } = await client.getRuns({ jobId, take: 100 });
  return runs.map(({ status }) => status).sort();
}

describeEngine("flow control in trouble", (world) => {
  test("singleton replace: of many starts in one instant, while workers claim, one is left", async () => {
    const job = jobOf((io) => io.wait("w", "1h"), { singleton: { mode: "replace" } });
    const clients = ["a", "b"].map((id) => world().client({ id, jobs: [job] }));
    for (const client of clients) await client.start();
    await Promise.all(
      [1, 2, 3, 4].flatMap((n) => clients.map((client) => client.invoke("job", n))),
    );
    await Promise.all(clients.map((client) => client.stop()));
    const reader = world().client({ id: "reader", jobs: [job] });
    await reader.drain();
    expect(await statuses(reader, "job")).toEqual([...Array(7).fill("CANCELED"), "WAITING"]);
  });

  test("singleton replace: a sender that dies before it ends the replaced run leaves that to the next start", async () => {
    const job = jobOf((io) => io.wait("w", "1h"), { singleton: { mode: "replace" } });
    const client = world().client({ jobs: [job] });
    await client.invoke("job", 1);
    await client.drain();
    const dying = new Machine(world(), { jobs: [job] });
    await dying.client.getRuns();
    dying.dieAtCommit(1);
    void dying.client.invoke("job", 2);
    await turns();
    expect(dying.isFrozen).toBe(true);
    const last = await client.invoke("job", 3);
    await client.drain();
    expect(await statuses(client, "job")).toEqual(["CANCELED", "CANCELED", "WAITING"]);
    expect((await client.getRun(last))?.status).toBe("WAITING");
  });

  test("singleton replace: a replaced run can be retried when the one in its place was cancelled before it started", async () => {
    const job = jobOf((io) => io.wait("w", "1h"), { singleton: { mode: "replace" } });
    const client = world().client({ jobs: [job] });
    const first = await client.invoke("job", 1);
    await client.drain();
    await client.cancelRun(await client.invoke("job", 2));
    await client.retryRun(first);
    await client.drain();
    expect((await client.getRun(first))?.status).toBe("WAITING");
  });

  test("throttle: a run that was cancelled while it waited, and is retried, keeps its turn", async () => {
    const begin = world().clock.now();
    const starts: unknown[] = [];
    const job = jobOf(
      (_io, _context, payload) => {
        starts.push([payload, (world().clock.now() - begin) / 1_000]);
      },
      { throttle: { limit: 1, period: 60 } },
    );
    const client = world().client({ jobs: [job] });
    await client.invoke("job", 1);
    const second = await client.invoke("job", 2);
    await client.invoke("job", 3);
    await client.drain();
    world().clock.advance(10);
    await client.cancelRun(second);
    await client.retryRun(second);
    for (let step = 0; step < 20; step++) {
      await client.drain();
      world().clock.advance(10);
    }
    expect(starts).toEqual([
      [1, 0],
      [2, 60],
      [3, 120],
    ]);
  });

  test("a rule that comes with a deploy ends or delays no run that has begun", async () => {
    const rate = { limit: 1, period: "1h" };
    for (const rule of [
      { rateLimit: rate },
      { throttle: rate },
      { debounce: { period: "1h" } },
      { singleton: { mode: "skip" } },
    ] as const) {
      const [name] = Object.keys(rule);
      const id = `job-${name}`;
      const child = jobOf(() => "child", { id: `child-${name}` });
      const program = async (io: Parameters<Parameters<typeof jobOf>[0]>[0]) =>
        (await io.invokeAndWait("c", `child-${name}`, {})).ok;
      const after = jobOf(program, { id, version: "1.1.0", ...rule });
      const register = world().client({ id: `register-${name}`, jobs: [child] });
      await register.drain();
      const old = world().client({ id: `old-${name}`, jobs: [jobOf(program, { id })] });
      for (const n of [1, 2]) await old.invoke(id, n);
      await old.drain();
      expect(await statuses(old, id)).toEqual(["WAITING", "WAITING"]);
      await old.stop();
      const client = world().client({ id: `new-${name}`, jobs: [after, child] });
      await client.drain();
      expect([name, await statuses(client, id)]).toEqual([name, ["COMPLETED", "COMPLETED"]]);
    }
  });
});
