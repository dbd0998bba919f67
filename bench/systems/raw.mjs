// The driver itself, on the same disk: what a commit costs, and rows per second in groups of 100.
import { createRequire } from "node:module";
import { join } from "node:path";
import { now, TEXT } from "../measure.mjs";

/** The driver that Pawl takes on this Node. */
async function openDatabase(path) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 13)) {
    const { DatabaseSync } = await import("node:sqlite");
    return { driver: "node:sqlite", database: new DatabaseSync(path) };
  }
  const Database = createRequire(import.meta.url)("libsql");
  return { driver: "libsql", database: new Database(path) };
}

/** A file of its own, and commits of one row to it. */
export async function openRaw(dir) {
  const { driver, database } = await openDatabase(join(dir, "raw.db"));
  database.exec("PRAGMA journal_mode=WAL");
  database.exec("PRAGMA synchronous=FULL");
  database.exec(
    "CREATE TABLE s(run TEXT NOT NULL, k TEXT NOT NULL, out TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(run, k))",
  );
  const insert = database.prepare("INSERT INTO s VALUES(?, ?, ?, ?)");
  let count = 0;
  const row = () => {
    count++;
    insert.run(
      `run-${Math.floor(count / 10)}`,
      `s${count}`,
      JSON.stringify({ i: count, text: TEXT }),
      Date.now(),
    );
  };
  return { driver, database, commitOne: row };
}

/** Commits 100 rows at a time. */
export function groupsOf({ database, commitOne: row }) {
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  return () => {
    begin.run();
    for (let i = 0; i < 100; i++) row();
    commit.run();
  };
}

/** Rows per second in groups of 100. */
export async function measureRaw(dir, { ms = 1_500 } = {}) {
  const raw = await openRaw(dir);
  const rate = (rows, work) => {
    const started = now();
    let done = 0;
    while (now() - started < ms) {
      work();
      done += rows;
    }
    return (done / (now() - started)) * 1_000;
  };
  const rowsPerS = rate(100, groupsOf(raw));
  raw.database.close();
  return { driver: raw.driver, rowsPerS };
}
