import { expect, test } from "vitest";
import { jobOf } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("code that changed under a run", (world) => {
  test("R16: a run that completes without coming by what it had recorded says which calls those are", async () => {
    let isOld = true;
    const job = jobOf(async (io) => {
      if (isOld) for (let n = 0; n < 6; n++) await io.runTask(`old ${n}`, () => n);
      await io.runTask("both", (_task, inner) => inner.runTask("inside", () => 1));
      await io.wait("hour", "1h");
      return "done";
    });
    const first = world().client({ jobs: [job] });
    const { id } = await first.invoke("job", {});
    await first.drain();
    await first.stop({ timeout: 0 });
    isOld = false;
    world().clock.advance("1h");
    const lines: string[] = [];
    const { error } = console;
    console.error = (line: string) => lines.push(line);
    try {
      const second = world().client({ jobs: [job] });
      await second.drain();
      expect(await second.getRun(id)).toMatchObject({ status: "COMPLETED", output: "done" });
    } finally {
      console.error = error;
    }
    expect(lines).toEqual([
      expect.stringMatching(
        /without coming by 6 recorded call\(s\): "old 0", .*"old 4"\. The code/,
      ),
    ]);
  });
});
