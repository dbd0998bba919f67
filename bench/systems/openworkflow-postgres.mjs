import { BackendPostgres } from "openworkflow/postgres";
import { openOn } from "./openworkflow.mjs";
import { openDatabase } from "./postgres.mjs";
import { openRawPostgres } from "./raw-postgres.mjs";

export const open =
  () =>
  async ({ concurrency }) => {
    const { url, remove } = await openDatabase();
    const system = openOn(await BackendPostgres.connect(url), concurrency);
    return {
      ...system,
      openRaw: openRawPostgres,
      close: () => system.close().finally(remove),
    };
  };
