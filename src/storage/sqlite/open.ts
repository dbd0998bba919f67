import { StorageError } from "../../core/errors.js";
import { Database, type Durability } from "./database.js";
import type { Driver } from "./driver.js";
import { isBusy, reasonOf, sqliteCode, storageErrorOf } from "./failure.js";
import { assertReadable, migrate } from "./schema.js";

const BUSY_FOR_MS = 10_000;

interface FileBuiltin {
  statSync(
    path: string,
    options: { throwIfNoEntry: false },
  ): { isDirectory(): boolean } | undefined;
}

interface PathBuiltin {
  resolve(path: string): string;
  dirname(path: string): string;
}

/** Makes no file, migrates nothing and cannot write. */
export async function openReadonly(driver: Driver, path: string): Promise<Database> {
  const files = process.getBuiltinModule?.("node:fs") as FileBuiltin | undefined;
  if (files !== undefined && files.statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new StorageError(
      "STORAGE_PATH_INVALID",
      `There is no SQLite file ${path}, and one that is opened read-only is not made. Check the path.`,
      { details: { path } },
    );
  }
  return opening(driver, path, (opened) => {
    opened.configureReadonly();
    assertReadable(opened);
  });
}

/** Other processes may be opening the same new file: whatever is busy is tried again. */
export async function openDatabase(
  driver: Driver,
  path: string,
  durability: Durability,
): Promise<Database> {
  return opening(
    driver,
    path,
    (opened) => opened.configure(durability),
    (opened) => migrate(opened),
  );
}

async function opening(
  driver: Driver,
  path: string,
  ...steps: readonly ((opened: Database) => void)[]
): Promise<Database> {
  let database: Database | undefined;
  try {
    const opened = new Database(driver, path);
    database = opened;
    for (const step of steps) await whileBusy(() => step(opened));
    return opened;
  } catch (error) {
    database?.close();
    throw pathErrorOf(error, path) ?? storageErrorOf(error, path);
  }
}

/** SQLite would wait by blocking the event loop; this waits without. */
export async function whileBusy<T>(attempt: () => T): Promise<T> {
  const from = performance.now();
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() - from > BUSY_FOR_MS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 2));
  }
}

/** The drivers say no more than that the file cannot be opened, if that. */
function pathErrorOf(error: unknown, path: string): StorageError | undefined {
  const code = sqliteCode(error);
  if (code !== 14 && code !== 0) return undefined;
  const files = process.getBuiltinModule?.("node:fs") as FileBuiltin | undefined;
  const paths = process.getBuiltinModule?.("node:path") as PathBuiltin | undefined;
  if (files === undefined || paths === undefined) return undefined;
  const invalid = (text: string): StorageError =>
    new StorageError("STORAGE_PATH_INVALID", text, { cause: error, details: { path } });
  if (files.statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    return invalid(`The SQLite path ${path} is a directory. Pass the path of a file in it.`);
  }
  const directory = paths.dirname(paths.resolve(path));
  if (!files.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    return invalid(
      `The SQLite file ${path} cannot be made: the directory ${directory} does not exist. Create it first.`,
    );
  }
  if (code !== 14) return undefined;
  return invalid(
    `The SQLite file ${path} cannot be opened (${reasonOf(error)}). Check the permissions of the file and its directory.`,
  );
}
