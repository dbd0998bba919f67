import { runInNewContext } from "node:vm";
import { defaultCodec, defineJob, invokeTrigger } from "pawl";
import { expect, test } from "vitest";
import { z } from "zod";
import { describeEngine } from "./world.js";

// As in Jest, whose tests run in a realm of their own, beside promises of Node's.
const ForeignPromise = runInNewContext("Promise") as PromiseConstructor;

const codec = {
  encode: (value: unknown) => ForeignPromise.resolve(defaultCodec.encode(value)),
  decode: (text: string) => ForeignPromise.resolve(defaultCodec.decode(text)),
};

describeEngine("a codec with promises of another realm", (world) => {
  test("is waited for before the schema, tags, parseOutput and results of children see a value", async () => {
    const child = defineJob({
      id: "child",
      trigger: invokeTrigger({ schema: z.object({ a: z.literal(1) }) }),
      tags: ({ a }) => [`a${a}`],
      run: ({ a }) => ({ b: a + 1 }),
    });
    const parent = defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const parsed = await io.runTask("task", () => ({ c: 3 }), {
          parseOutput: (output) => output as { c: number },
        });
        const result = await io.invokeAndWait("child", child, { a: 1 });
        return [parsed.c, result.ok && result.output.b];
      },
    });
    const client = world().client({ jobs: [child, parent], codec });
    const { id } = await client.invoke(parent, {});
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: [3, 2] });
    const { runs } = await client.getRuns({ jobId: "child" });
    expect(runs[0]?.tags).toEqual(["a1"]);
  });
});

describeEngine("a callback whose promise has a then of its own", (world) => {
  test("ends with the promise's value", async () => {
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: (_payload, io) =>
        io.runTask("a", () =>
          // biome-ignore lint/suspicious/noThenProperty: that is the point
          Object.assign(Promise.resolve(1), { then: () => undefined as never }),
        ),
    });
    const client = world().client({ jobs: [job] });
    const { id } = await client.invoke(job, {});
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: 1 });
  });
});
