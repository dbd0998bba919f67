import { expect, test } from "vitest";
import { defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { turns } from "./drive.js";
import { numbered, thrownCode } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("client.on", (world) => {
  test("C10: tells of starts, waits, tasks and ends in this process", async () => {
    const client = world().client();
    const heard: string[] = [];
    client.on("runStarted", ({ jobId }) => heard.push(`started ${jobId}`));
    client.on("runWaiting", ({ jobId }) => heard.push(`waiting ${jobId}`));
    client.on("taskCompleted", ({ path }) => heard.push(`task ${path}`));
    client.on("taskFailed", ({ path, error }) =>
      heard.push(`task failed ${path} ${error.message}`),
    );
    client.on("runSucceeded", ({ ok, output, finishedAt }) =>
      heard.push(`succeeded ${ok} ${output} ${finishedAt instanceof Date}`),
    );
    client.on("runFailed", ({ status, error }) => heard.push(`failed ${status} ${error?.message}`));
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (payload, io) => {
        await io.runTask("a", () => 1);
        await io.wait("day", "1d");
        if (payload === "bad")
          await io.runTask("b", () => {
            throw new Error("broken");
          });
        return "out";
      },
    });
    await client.invoke(job, "good");
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    await turns();
    const good = ["started j", "task a", "waiting j"];
    expect(heard.filter((line) => good.includes(line))).toEqual(good);
    expect(heard.at(-1)).toBe("succeeded true out true");
    await client.invoke(job, "bad");
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    await turns();
    expect(heard).toContain("task failed b broken");
    expect(heard.at(-1)).toBe("failed FAILED broken");
  });

  test("C10: cancels, timeouts and invalid payloads are told, too", async () => {
    const client = world().client();
    const heard: string[] = [];
    client.on("runCanceled", ({ status }) => heard.push(status));
    client.on("runFailed", ({ status }) => heard.push(status));
    client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e", schema: numbered }),
      maxDuration: "1m",
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const canceled = await client.invoke("j", { n: 1 });
    await client.cancelRun(canceled);
    await client.invoke("j", { n: 1 });
    await client.drain();
    world().clock.advance("1m");
    await client.drain();
    await client.sendEvent({ name: "e", payload: "wrong" });
    await turns();
    expect(heard).toEqual(["CANCELED", "TIMED_OUT", "INVALID_PAYLOAD"]);
  });

  test("C10: a run of several executions is started once", async () => {
    const client = world().client();
    let starts = 0;
    client.on("runStarted", () => starts++);
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.yield("a");
        await io.wait("day", "1d");
      },
    });
    await client.invoke(job);
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(starts).toBe(1);
  });

  test("C10: a blocked run is told of", async () => {
    const heard: string[] = [];
    let first = true;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        if (first) await io.runTask("key", () => 1);
        else await io.wait("key", "1d");
        await io.wait("day", "1d");
      },
    });
    const client = world().client({ jobs: [job] });
    await client.invoke(job);
    await client.drain();
    first = false;
    const other = world().client({ jobs: [job] });
    other.on("runBlocked", ({ error }) => heard.push((error as { code?: string }).code ?? ""));
    world().clock.advance("1d");
    await other.drain();
    expect(heard).toEqual(["NON_DETERMINISM"]);
  });

  test("C10: a listener that throws, at once or later, harms neither the run nor the other listeners", async () => {
    const client = world().client();
    const heard: string[] = [];
    client.on("runSucceeded", () => {
      throw new Error("at once");
    });
    // What an async listener does, in the type of a plain one.
    client.on("runSucceeded", () => Promise.reject(new Error("later")) as never);
    client.on("runSucceeded", () => heard.push("heard"));
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    const handle = await client.invoke(job);
    await client.drain();
    await turns();
    expect(heard).toEqual(["heard"]);
    expect((await client.getRun(handle))?.status).toBe("COMPLETED");
    expect(world().troubles.map((error) => (error as Error).message)).toEqual(["at once", "later"]);
  });

  test("C10: the answered function ends the listening; an unknown event throws", async () => {
    const client = world().client();
    const heard: string[] = [];
    const off = client.on("runSucceeded", () => heard.push("x"));
    off();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: async () => {} });
    await client.invoke(job);
    await client.drain();
    await turns();
    expect(heard).toEqual([]);
    expect(thrownCode(() => client.on("runDone" as never, () => {}))).toBe("OPTION_INVALID");
  });
});
