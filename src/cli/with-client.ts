import { statSync } from "node:fs";
import { type Codec, defaultCodec } from "../core/codec.js";
import { createClient } from "../create-client.js";
import type { Client } from "../engine/client.js";
import { UsageError } from "./arguments.js";

/** The storage could not be used: exit code 1. */
class StorageMissing extends Error {}

/** The application may have a codec of its own, which this process does not know: then the stored text is shown. */
const tolerant: Codec = {
  encode: (value, what) => defaultCodec.encode(value, what),
  decode(text) {
    try {
      return defaultCodec.decode(text);
    } catch {
      return text;
    }
  },
};

/** A client without jobs that is never started: it reads, or also writes, runs and executes none. */
export async function withClient<T>(
  path: string | undefined,
  readonly: boolean,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  assertFile(path);
  // Only here, so that help and usage errors need no driver.
  const { sqlite } = await import("../storage/sqlite/index.js");
  const client = createClient({ storage: sqlite({ path, readonly }), codec: tolerant });
  try {
    return await work(client);
  } finally {
    await client.stop({ timeout: 0 });
  }
}

/** An adapter would make a missing file; whoever looks for runs has mistyped it. */
function assertFile(path: string | undefined): asserts path is string {
  if (path === undefined || path === "") {
    throw new UsageError("Say which file the application keeps its runs in: --storage shop.db.");
  }
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new StorageMissing(
      `There is no file "${path}". Pass --storage the path that the application gives to sqlite().`,
    );
  }
}
