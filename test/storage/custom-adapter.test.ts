import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testStorage } from "pawl/adapter-kit";
import { describe, test } from "vitest";
import { fileStorage } from "../../examples/custom-adapter.js";

testStorage({
  name: "custom",
  runner: { describe, test },
  create: () => {
    const folder = mkdtempSync(join(tmpdir(), "pawl-custom-"));
    return {
      open: () => fileStorage(folder),
      dispose: () => rmSync(folder, { recursive: true }),
    };
  },
});
