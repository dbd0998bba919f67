import { expect, test } from "vitest";
import { start } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("statuses", (world) => {
  test("C5, I18: a status is readable while the run goes on, with its history", async () => {
    const run = await start(world(), async (io) => {
      const status = await io.createStatus("import", { label: "Import", state: "loading" });
      await io.wait("first hour", "1h");
      await status.update("half", { data: { done: 50n } });
      await io.wait("rest", "1h");
      await status.update("end", { label: "Imported", state: "success", data: undefined });
      return "done";
    });
    const first = new Date(world().clock.now());
    await run.drain();
    expect(await run.client.getRunStatuses(run.id)).toEqual({
      run: { id: run.id, status: "WAITING" },
      statuses: [
        { key: "import", label: "Import", state: "loading", updatedAt: first, history: [] },
      ],
    });
    await run.finish();
    const loading = { label: "Import", state: "loading" } as const;
    const at = (hours: number) => new Date(first.getTime() + hours * 3_600_000);
    expect(await run.client.getRunStatuses({ id: run.id })).toEqual({
      run: { id: run.id, status: "COMPLETED", output: "done" },
      statuses: [
        {
          key: "import",
          label: "Imported",
          state: "success",
          data: undefined,
          updatedAt: at(2),
          history: [
            { ...loading, updatedAt: at(0) },
            { ...loading, data: { done: 50n }, updatedAt: at(1) },
          ],
        },
      ],
    });
  });

  test("I18: each change is recorded once, over replays and retries of the task around it", async () => {
    const run = await start(world(), async (io) => {
      const outer = await io.createStatus("outer", { label: "Outer" });
      await io.runTask(
        "task",
        async (task, inner) => {
          const status = await inner.createStatus("inner", { label: "Inner" });
          await status.update("step", { data: 1 });
          await outer.update("from inside", { data: task.attempt });
          if (task.attempt === 1) throw new Error("once");
        },
        { retry: { limit: 2, randomize: false } },
      );
      await io.wait("replay", "1h");
    });
    await run.finish();
    const { statuses = [] } = (await run.client.getRunStatuses(run.id)) ?? {};
    expect(statuses.map(({ key, data, history }) => [key, data, history.length])).toEqual([
      ["outer", 1, 1],
      ["task/inner", 1, 1],
    ]);
  });

  test("what cannot be a status is refused; an unknown run has none", async () => {
    const run = await start(world(), async (io) => {
      const codes = [
        await codeOf(io.createStatus("a", undefined as never)),
        await codeOf(io.createStatus("b", {} as never)),
        await codeOf(io.createStatus("c", { label: "x", state: "done" as never })),
        await codeOf(io.createStatus("d", { label: "x", color: "red" } as never)),
        await codeOf(io.createStatus("e", { label: "x", data: () => 1 })),
      ];
      const status = await io.createStatus("f", { label: "x" });
      codes.push(await codeOf(status.update("g", { label: "" })));
      codes.push(await codeOf(status.update("f", { label: "y" })));
      return codes;
    });
    const { output } = await run.finish();
    const invalid = "OPTION_INVALID";
    expect(output).toEqual([
      invalid,
      invalid,
      invalid,
      "OPTION_UNKNOWN",
      "VALUE_NOT_SERIALIZABLE",
      invalid,
      "KEY_DUPLICATE",
    ]);
    expect((await run.client.getRunStatuses(run.id))?.statuses).toHaveLength(1);
    expect(await run.client.getRunStatuses("nobody")).toBeUndefined();
  });
});
