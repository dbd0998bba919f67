import { expect, test } from "vitest";
import { isPawlError, type Token } from "../../src/index.js";
import { gate, jobOf, Machine, start, turns } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

const codeOfError = (error: unknown): unknown => (error as { readonly code?: unknown }).code;

describeEngine("tokens", (world) => {
  test("K16: a run parks until its token is completed, and gets what it was completed with", async () => {
    let token: Token | undefined;
    const run = await start(world(), async (io) => {
      token = await io.createToken("token");
      return io.waitForToken("approved", token);
    });
    expect((await run.drain()).status).toBe("WAITING");
    const data = { by: "Ada", at: new Date(0) };
    expect(await run.client.completeToken(token ?? "", data)).toEqual({ completed: true });
    expect(await run.drain()).toMatchObject({ status: "COMPLETED", output: data });
  });

  test("I4: a token of app code is waited for by its id; completed before the wait, it is there at once", async () => {
    const client = world().client();
    const { id } = await client.createToken();
    await client.completeToken(id, "early");
    const run = await start(world(), async (io) => [
      await io.waitForToken("first", id),
      await io.waitForToken("second", { id }),
    ]);
    expect((await run.drain()).output).toEqual(["early", "early"]);
  });

  test("I4: one that is completed between its creation and the wait is not lost", async () => {
    const run = await start(world(), async (io) => {
      const token = await io.createToken("token");
      await io.runTask("ask", () => run.client.completeToken(token, 1));
      await io.wait("day", "1d");
      return io.waitForToken("wait", token);
    });
    expect((await run.finish()).output).toBe(1);
  });

  test("K16: the first completion counts, also of many at once", async () => {
    const { id } = await world().client().createToken();
    const run = await start(world(), (io) => io.waitForToken("wait", id));
    await run.drain();
    const clients = [run.client, world().client(), world().client()];
    const answers = await Promise.all(
      clients.map((client, index) => client.completeToken(id, index)),
    );
    const winner = answers.findIndex(({ completed }) => completed);
    expect(answers.filter(({ completed }) => completed)).toHaveLength(1);
    expect(await run.client.completeToken(id, 9)).toEqual({ completed: false });
    expect((await run.drain()).output).toBe(winner);
  });

  test("G30: all runs that wait for a token go on", async () => {
    const { id } = await world().client().createToken();
    const runs = [];
    for (let count = 0; count < 3; count++) {
      runs.push(
        await start(world(), (io) => io.waitForToken("wait", id), { client: { id: `c${count}` } }),
      );
    }
    for (const run of runs) await run.drain();
    await runs[0]?.client.completeToken(id, "all");
    for (const run of runs) expect((await run.drain()).output).toBe("all");
  });

  test("I5: a token that expires rejects with WAIT_TIMEOUT and cannot be completed any more", async () => {
    const run = await start(world(), async (io) => {
      const token = await io.createToken("token", { timeout: "1h" });
      return [token.id, await codeOf(io.waitForToken("wait", token))];
    });
    const { tasks } = await run.drain();
    const id = String((tasks?.[0]?.output as { id?: string } | undefined)?.id);
    world().clock.advance("1h");
    expect(await run.client.completeToken(id, "late")).toEqual({ completed: false });
    expect((await run.drain()).output).toEqual([id, "WAIT_TIMEOUT"]);
  });

  test("I5: a wait that times out leaves the token, which another wait may see completed", async () => {
    const { id } = await world().client().createToken();
    const run = await start(world(), async (io) => {
      const first = await codeOf(io.waitForToken("first", id, { timeout: "1h" }));
      return [first, await io.waitForToken("second", id)];
    });
    await run.drain();
    world().clock.advance("1h");
    await run.drain();
    await run.client.completeToken(id, "late");
    expect((await run.drain()).output).toEqual(["WAIT_TIMEOUT", "late"]);
  });

  test("a token that came before the timeout wins, however late the run is looked at", async () => {
    const { id } = await world().client().createToken();
    const run = await start(world(), (io) => io.waitForToken("wait", id, { timeout: "1h" }));
    await run.drain();
    await world().client().completeToken(id, "in time");
    world().clock.advance("1d");
    expect((await run.drain()).output).toBe("in time");
  });

  test("a token that came before the timeout wins, also if the worker that waits has not heard of it", async () => {
    const { id } = await world().client().createToken();
    const hold = gate();
    const run = await start(
      world(),
      async (io) => {
        const busy = io.runTask("busy", () => hold.opened);
        const token = await io.waitForToken("wait", id, { timeout: "1m" }).catch(codeOfError);
        hold.open();
        await busy;
        return token;
      },
      { client: { leaseMs: 3_600_000 } },
    );
    const draining = run.client.drain();
    await turns(100);
    await world().client().completeToken(id, "in time");
    world().clock.advance("1m");
    await draining;
    expect((await run.read()).output).toBe("in time");
  });

  test("unknown tokens are an error on both sides, and so is the id of a run", async () => {
    const run = await start(world(), async (io) => [
      await codeOf(io.waitForToken("unknown", "nobody")),
      await codeOf(io.waitForToken("invalid", "")),
      await codeOf(io.waitForToken("unstorable", "a\0b")),
    ]);
    const invalid = "OPTION_INVALID";
    expect((await run.finish()).output).toEqual(["TOKEN_NOT_FOUND", invalid, invalid]);
    expect(await codeOf(run.client.completeToken("nobody"))).toBe("TOKEN_NOT_FOUND");
    expect(await codeOf(run.client.completeToken(run.id))).toBe("TOKEN_NOT_FOUND");
    expect(await codeOf(run.client.createToken({ timeout: "soon" }))).toBe("OPTION_INVALID");
  });

  test("I4: a wait for an ordinary run is refused at once, and does not wait for its end", async () => {
    const job = jobOf((io) => io.wait("year", "365d"), { id: "other" });
    const client = world().client({ jobs: [job] });
    const other = await client.invoke(job, {});
    await client.drain();
    const run = await start(world(), async (io) => {
      const code = await codeOf(io.waitForToken("wait", other.id));
      const { name } = await io.waitForAny("any", {
        token: async (branch) => codeOf(branch.waitForToken("again", other.id)),
        day: (branch) => branch.wait("day", "1d"),
      });
      return [code, name];
    });
    expect((await run.drain()).output).toEqual(["TOKEN_NOT_FOUND", "token"]);
  });

  test("a branch that loses while its token is looked up holds nothing up", async () => {
    const { id } = await world().client().createToken();
    const run = await start(world(), async (io) => {
      const { name } = await io.waitForAny("any", {
        token: (branch) => branch.waitForToken("wait", id),
        task: (branch) => branch.runTask("task", () => "quick"),
      });
      await io.wait("hour", "1h");
      return [name, await io.waitForToken("later", id)];
    });
    await run.drain();
    await run.client.completeToken(id, "done");
    expect((await run.finish()).output).toEqual(["task", "done"]);
  });

  test("what a token cannot keep is refused, and it can still be completed", async () => {
    const client = world().client();
    const { id } = await client.createToken();
    expect(await codeOf(client.completeToken(id, () => 1))).toBe("VALUE_NOT_SERIALIZABLE");
    expect(await client.completeToken(id)).toEqual({ completed: true });
  });

  test("a crash between creation and record makes no second token", async () => {
    const made: string[] = [];
    const job = jobOf(async (io) => {
      const token = await io.createToken("token");
      made.push(token.id);
      return io.waitForToken("wait", token);
    });
    const doomed = new Machine(world(), { jobs: [job] });
    const { id } = await doomed.client.invoke(job, {});
    doomed.dieAtCommit(2);
    void doomed.client.drain();
    await until(() => doomed.isFrozen);
    world().clock.advance("31s");
    const heir = world().client({ jobs: [job] });
    await heir.drain();
    expect(new Set(made).size).toBe(1);
    await heir.completeToken(made[0] ?? "", "done");
    await heir.drain();
    expect(await heir.getRun(id)).toMatchObject({ output: "done" });
  });

  test("a losing branch of waitForAny leaves the token alone", async () => {
    const { id } = await world().client().createToken();
    const run = await start(world(), async (io) => {
      const { name } = await io.waitForAny("any", {
        approved: (branch) => branch.waitForToken("t", id),
        tired: (branch) => branch.wait("w", "1h"),
      });
      await io.wait("more", "1h");
      return name;
    });
    await run.drain();
    world().clock.advance("1h");
    await run.drain();
    expect(await run.client.completeToken(id)).toEqual({ completed: true });
    expect((await run.finish()).output).toBe("tired");
  });

  test("tokens are no runs: lists and counts do not show them, an error tells of them by code", async () => {
    const client = world().client();
    await client.createToken({ timeout: 60 });
    expect((await client.getRuns()).runs).toEqual([]);
    expect((await client.stats()).runs).toEqual({});
    const error: unknown = await client.completeToken("nobody").catch((each: unknown) => each);
    expect(isPawlError(error, "TOKEN_NOT_FOUND")).toBe(true);
  });

  const reachable = {
    publicUrl: "https://shop.example/pawl",
    secrets: ["a secret of more than twenty-four bytes"],
  };

  test("I4: waitForRequest hands out a URL once, parks, and gives what is answered there", async () => {
    const urls: string[] = [];
    const run = await start(
      world(),
      async (io) => {
        const answer = io.waitForRequest("scan", (url) => urls.push(url), { timeout: "1h" });
        await io.wait("meanwhile", 60);
        return answer;
      },
      { client: reachable },
    );
    expect((await run.drain()).status).toBe("WAITING");
    world().clock.advance(60);
    await run.drain();
    expect(urls).toHaveLength(1);
    // As a route of the app gets it, behind a proxy.
    const { pathname, search } = new URL(urls[0] ?? "");
    const asked = new URL(`http://10.0.0.7:3000${pathname}${search}`);
    expect(await run.client.completeToken(asked, { clean: true })).toEqual({ completed: true });
    expect(await run.drain()).toMatchObject({ status: "COMPLETED", output: { clean: true } });
    const stored = JSON.stringify(await run.read());
    expect(stored).not.toContain("signature");
  });

  test("I4: a request that never comes rejects with WAIT_TIMEOUT", async () => {
    const run = await start(
      world(),
      (io) => codeOf(io.waitForRequest("scan", () => {}, { timeout: "1h" })),
      { client: reachable },
    );
    await run.drain();
    world().clock.advance("1h");
    expect((await run.drain()).output).toBe("WAIT_TIMEOUT");
  });

  test("a URL that was not made with a secret of the client completes nothing", async () => {
    const client = world().client({ id: "a", ...reachable });
    const { id, url = "" } = await client.createToken();
    const forged = new URL(url);
    forged.searchParams.set("signature", `v1.${"0".repeat(64)}`);
    expect(await codeOf(client.completeToken(forged, 1))).toBe("TOKEN_URL_INVALID");
    const stranger = world().client({ id: "b", ...reachable, secrets: ["b".repeat(24)] });
    expect(await codeOf(stranger.completeToken(new URL(url), 1))).toBe("TOKEN_URL_INVALID");
    const without = world().client({ id: "c" });
    expect(await codeOf(without.completeToken(new URL(url), 1))).toBe("TOKEN_URL_INVALID");
    expect((await without.createToken()).url).toBeUndefined();
    expect(await client.completeToken(id, 1)).toEqual({ completed: true });
    expect(await client.completeToken(new URL(url), 2)).toEqual({ completed: false });
  });

  test("waitForRequest without publicUrl and secrets says so", async () => {
    const run = await start(world(), (io) => codeOf(io.waitForRequest("scan", () => {})));
    expect((await run.drain()).output).toBe("OPTION_INVALID");
  });
});
