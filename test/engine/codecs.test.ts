import { expect, test } from "vitest";
import { type Codec, defaultCodec, eventTrigger } from "../../src/index.js";
import { start } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

const asynchronous: Codec = {
  encode: async (value, what) => defaultCodec.encode(value, what),
  decode: async (text) => defaultCodec.decode(text),
};

describeEngine("codecs of users", (world) => {
  test("an asynchronous one gives the context of an event and of a schedule as values, to run, hooks and listeners", async () => {
    const client = world().client({ codec: asynchronous });
    const seen: unknown[] = [];
    client.on("runSucceeded", ({ event }) => seen.push(event.context));
    client.defineJob({
      id: "hears",
      trigger: eventTrigger({ name: "e" }),
      onSuccess: ({ event }) => {
        seen.push(event.context);
      },
      run: async (_payload, _io, { event }) => {
        seen.push(event.context);
      },
    });
    await client.sendEvent({ name: "e", context: { from: "test" } });
    await client.drain();
    expect(seen).toEqual([{ from: "test" }, { from: "test" }, { from: "test" }]);

    const reports = client.defineDynamicSchedule({ id: "reports" });
    client.defineJob({
      id: "report",
      trigger: reports,
      run: async (_payload, _io, { source }) => source,
    });
    await reports.register(
      "ann",
      { seconds: 3600 },
      {
        metadata: { name: "Ann" },
      },
    );
    world().clock.advance("1h");
    await client.drain();
    const [run] = (await client.getRuns({ jobId: "report" })).runs;
    expect(run?.output).toEqual({ id: "ann", metadata: { name: "Ann" } });
  });

  test.for(["at once", "later"])(
    "what cannot be read any more fails its run, and ends no process: %s",
    async (when) => {
      const unreadable = () => {
        throw new Error("key lost");
      };
      const codec: Codec = {
        encode: (value) => JSON.stringify(value),
        decode: (text) => {
          if (text !== '"secret"') return JSON.parse(text);
          return when === "later" ? Promise.resolve().then(unreadable) : unreadable();
        },
      };
      const run = await start(world(), () => "ran", { client: { codec }, payload: "secret" });
      await run.client.drain();
      expect(await run.client.stats()).toEqual({ runs: { FAILED: 1 } });
      expect(world().troubles).toContainEqual(expect.objectContaining({ message: "key lost" }));
    },
  );

  test.for([
    ["at once", 7],
    ["later", Promise.resolve(undefined)],
  ])("one that gives no text is refused before anything is stored: %s", async ([, text]) => {
    const client = world().client({ codec: { encode: () => text as never, decode: JSON.parse } });
    client.defineJob({ id: "hears", trigger: eventTrigger({ name: "e" }), run: async () => {} });
    expect(await codeOf(client.invoke("hears", 1))).toBe("OPTION_INVALID");
    expect(await codeOf(client.sendEvent({ name: "e" }))).toBe("OPTION_INVALID");
    expect(await client.stats()).toEqual({ runs: {} });
  });
});
