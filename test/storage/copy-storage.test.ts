import { copyStorage } from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { sqlite } from "pawl/sqlite";
import { describe, expect, test } from "vitest";
import { MovingApp, type Opener } from "./moving-app.js";
import { newPath } from "./sqlite-fixture.js";

function memoryStore(): Opener {
  const data = new MemoryData();
  return (clock) => memory({ data, clock });
}

function sqliteFile(): Opener {
  const path = newPath();
  return (clock) => sqlite({ path, clock });
}

const stores = { memory: memoryStore, sqlite: sqliteFile };

describe("an app with runs in every state", () => {
  test.each([
    ["memory", "sqlite"],
    ["sqlite", "memory"],
    ["sqlite", "sqlite"],
  ] as const)("goes on from %s in %s as if nothing had happened", async (source, target) => {
    const unmoved = await new MovingApp().play(stores[source](), async (open) => open);
    const app = new MovingApp();
    const moved = await app.play(stores[source](), async (open) => {
      const to = stores[target]();
      const { held, runs } = await copyStorage(open(app.clock), to(app.clock));
      expect(held).toBe(1);
      expect(runs).toBeGreaterThan(20);
      return to;
    });
    expect(moved).toEqual(unmoved);
    expect(app.troubles).toEqual([]);
  });
});
