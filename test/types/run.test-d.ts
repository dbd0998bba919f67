import { createClient, invokeTrigger, type Run, type RunHandle, type RunStatus } from "pawl";
import { describe, expectTypeOf, test } from "vitest";

const client = createClient();
const sum = client.defineJob({
  id: "sum",
  trigger: invokeTrigger(),
  run: async () => ({ total: 3 }),
});

describe("a handle remembers the output", () => {
  test("through waitForRun", async () => {
    const handle = await client.invoke(sum);
    expectTypeOf(handle).toEqualTypeOf<RunHandle<{ total: number }>>();
    const run = await client.waitForRun(handle, { timeout: "1m" });
    expectTypeOf(run).toEqualTypeOf<Run<{ total: number }>>();
    expectTypeOf(run.output).toEqualTypeOf<{ total: number } | undefined>();
    // @ts-expect-error the run may have failed
    run.output.total;
    // @ts-expect-error there is no such property
    run.output?.sum;
  });

  test("through getRun, where there may be none", async () => {
    const run = await client.getRun(await sum.invoke(1));
    expectTypeOf(run).toEqualTypeOf<Run<{ total: number }> | undefined>();
    expectTypeOf(run?.status).toEqualTypeOf<RunStatus | undefined>();
    // @ts-expect-error there may be no such run
    run.status;
    // @ts-expect-error not a status
    run?.status === "RUNNING";
  });

  test("through retryRun and replayRun", async () => {
    const handle = await client.invoke(sum);
    expectTypeOf(await client.retryRun(handle)).toEqualTypeOf<typeof handle>();
    expectTypeOf(await client.replayRun(handle)).toEqualTypeOf<typeof handle>();
    // @ts-expect-error another output
    (await client.retryRun(handle)) satisfies RunHandle<string>;
  });

  test("and an id does not", async () => {
    const run = await client.getRun("id");
    expectTypeOf(run?.output).toBeUnknown();
    // @ts-expect-error unknown
    run?.output.total;
    const typed = await client.getRun<{ total: number }>("id");
    expectTypeOf(typed?.output).toEqualTypeOf<{ total: number } | undefined>();
  });
});

test("listeners get what the event tells", () => {
  client.on("taskCompleted", (task) => expectTypeOf(task.path).toEqualTypeOf<string>());
  client.on("runSucceeded", (run) => expectTypeOf(run.output).toBeUnknown());
  // @ts-expect-error there is no such event
  client.on("runDone", () => {});
  // @ts-expect-error a run that waits tells no output
  client.on("runWaiting", (run) => run.output);
});
