// testJob executes a job for real in no time: a fake clock steps over waits and retries. Run with: node --test
import assert from "node:assert/strict";
import { test } from "node:test";
import { defineJob, invokeTrigger } from "pawl";
import { testJob } from "pawl/testing";

const remind = defineJob({
  id: "remind",
  trigger: invokeTrigger(),
  retry: { limit: 3 },
  run: async (payload: { email: string }, io) => {
    await io.wait("a-year", { days: 365 });
    return io.runTask("send-mail", (): string => {
      throw new Error(`No mail to ${payload.email} from a test.`);
    });
  },
});

test("the mail is sent after a year, at the second attempt", async () => {
  const { status, output, tasks } = await testJob(remind, {
    payload: { email: "a@b.co" },
    mocks: {
      "send-mail": (task: { attempt: number }) => {
        if (task.attempt === 1) throw new Error("The mail server is down.");
        return "sent";
      },
    },
    // The process is killed after each record, so code that is not the same each time shows.
    replay: "every-task",
  });
  assert.deepEqual([status, output], ["COMPLETED", "sent"]);
  assert.equal(tasks.find((task) => task.key === "send-mail")?.attempts.length, 2);
});
