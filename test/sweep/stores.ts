import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryData, memory } from "../../src/storage/memory/index.js";
import { sqlite } from "../../src/storage/sqlite/index.js";
import type { Store } from "./sweep.js";

export function memoryStore(): Store {
  const data = new MemoryData();
  return { open: () => memory({ data }), dispose: () => {} };
}

/** In memory if the machine has such a folder: what a disk does is not the subject here. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export function sqliteStore(): Store {
  const folder = mkdtempSync(join(parent, "pawl-sweep-"));
  return {
    open: () => sqlite({ path: join(folder, "sweep.db"), durability: "relaxed" }),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
