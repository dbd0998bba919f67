import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyStorage } from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { postgres } from "pawl/postgres";
import { sqlite } from "pawl/sqlite";
import pg from "pg";
import { afterAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { expectToGoOnElsewhere, MovingApp, type Opener } from "../storage/moving-app.js";
import { describeClients, schemaName } from "./clients.js";

const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 10 });
const schemas: string[] = [];

afterAll(async () => {
  for (const schema of schemas) await pool.query(`drop schema if exists "${schema}" cascade`);
  await pool.end();
});

const stores: Readonly<Record<string, () => Opener>> = {
  memory: () => {
    const data = new MemoryData();
    return (clock) => memory({ data, clock });
  },
  SQLite: () => {
    const folder = mkdtempSync(join(tmpdir(), "pawl-copy-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return (clock) => sqlite({ path: join(folder, "app.db"), clock });
  },
  Postgres: () => {
    const schema = schemaName();
    schemas.push(schema);
    return (clock) => postgres({ client: pool, schema, clock });
  },
};

function opener(name: string): Opener {
  const made = stores[name]?.();
  if (made === undefined) throw new Error(`There is no store ${name}.`);
  return made;
}

describe("an app with runs in every state", () => {
  test.each([
    ["SQLite", "Postgres"],
    ["Postgres", "SQLite"],
    ["memory", "Postgres"],
    ["Postgres", "Postgres"],
  ])("N13: goes on from %s in %s as if nothing had happened", async (source, target) => {
    await expectToGoOnElsewhere(
      () => opener(source),
      () => opener(target),
    );
  });

  test("there and back again, twice, it is the same", async () => {
    const unmoved = await new MovingApp().play(opener("SQLite"), async (open) => open);
    const app = new MovingApp();
    const moved = await app.play(opener("SQLite"), async (open) => {
      let last = open;
      for (const name of ["Postgres", "memory", "Postgres", "SQLite"]) {
        const next = opener(name);
        await copyStorage(last(app.clock), next(app.clock));
        last = next;
      }
      return last;
    });
    expect(moved).toEqual(unmoved);
  });
});

describeClients("a copy", (driver, schema) => {
  test("into the schema and out of it again changes nothing", async () => {
    const unmoved = await new MovingApp().play(opener("memory"), async (open) => open);
    const app = new MovingApp();
    const moved = await app.play(opener("memory"), async (open) => {
      const within = () =>
        new PostgresStorage({ open: driver, schema, clock: app.clock, notify: false });
      await copyStorage(open(app.clock), within());
      const last = opener("memory");
      await copyStorage(within(), last(app.clock));
      return last;
    });
    expect(moved).toEqual(unmoved);
  });
});
