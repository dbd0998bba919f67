import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryData, memory } from "../../src/storage/memory/index.js";
import { sqlite } from "../../src/storage/sqlite/index.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import type { Store } from "./stage.js";

export function memoryStore(): Store {
  const data = new MemoryData();
  return { open: () => memory({ data }), dispose: () => {} };
}

/** In memory if the machine has such a folder: what a disk does is not the subject here. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Stores that begin as copies of one file: to migrate each of them would take most of the time. */
export async function sqliteStores(): Promise<{ make(): Store; dispose(): void }> {
  const folder = mkdtempSync(join(parent, "pawl-sweep-"));
  const template = join(folder, "template.db");
  const storage = sqlite(template);
  await storage.init({ clock: new FakeClock() });
  await storage.close();
  let count = 0;
  return {
    make: () => {
      const path = join(folder, `${count++}.db`);
      copyFileSync(template, path);
      return {
        open: () => sqlite({ path, durability: "relaxed" }),
        dispose: () => {
          for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
        },
      };
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
