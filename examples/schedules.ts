// A job at nine in Berlin on weekdays, one every second, and schedules that are made while the app runs.
import { createClient, cronTrigger, intervalTrigger } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });

client.defineJob({
  id: "report",
  trigger: cronTrigger({ cron: "0 9 * * 1-5", timezone: "Europe/Berlin", catchUp: "one" }),
  run: async ({ ts }) => `report of ${ts.toISOString()}`,
});

let beats = 0;
client.defineJob({
  id: "heartbeat",
  trigger: intervalTrigger({ seconds: 1, overlap: "skip" }),
  run: async (_, io) => {
    await io.runTask("beat", () => ++beats);
  },
});

const reminders = client.defineDynamicSchedule({ id: "reminders" });
client.defineJob({
  id: "remind",
  trigger: reminders,
  run: async (_, _io, { source }) => source?.metadata,
});

await client.start();
await reminders.register("customer-1", { cron: "30 8 1 * *" }, { metadata: { plan: "pro" } });
console.log((await reminders.list()).map(({ key, metadata }) => [key, metadata]));

const [heartbeat, report] = await client.getSchedules({ ticks: 3 });
console.log(heartbeat?.jobId, heartbeat?.next.length, "ticks ahead");
const hours = report?.next.map((tick) =>
  tick.toLocaleTimeString("en-GB", { timeZone: "Europe/Berlin", timeStyle: "short" }),
);
console.log(report?.jobId, hours);

while (beats < 2) await new Promise((resolve) => setTimeout(resolve, 20));
await client.pauseSchedule("heartbeat");
console.log("two beats");
await client.stop();
