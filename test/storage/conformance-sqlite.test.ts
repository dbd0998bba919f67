import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testStorage } from "pawl/adapter-kit";
import { sqlite } from "pawl/sqlite";
import { describe, test } from "vitest";

testStorage({
  name: "sqlite",
  runner: { describe, test },
  create: () => {
    const folder = mkdtempSync(join(tmpdir(), "pawl-conformance-"));
    const path = join(folder, "runs.db");
    return {
      open: () => sqlite({ path, driver: "libsql", durability: "relaxed" }),
      dispose: () => rmSync(folder, { recursive: true }),
    };
  },
});
