import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ClaimRequest,
  ManualClock,
  type NewRun,
  type Storage,
  type TaskWrite,
} from "pawl/adapter-kit";
import { type SqliteOptions, sqlite } from "pawl/sqlite";
import { onTestFinished } from "vitest";
import type {
  Connection,
  DatabaseConstructor,
  NativeStatement,
} from "../../src/storage/sqlite/driver.js";
import { DriverFinder } from "../../src/storage/sqlite/load-driver.js";

/** A directory that goes with the test. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "pawl-sqlite-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function newPath(): string {
  return join(newDirectory(), "pawl.db");
}

export async function opened(
  path: string,
  options: Omit<SqliteOptions, "path"> = {},
): Promise<Storage> {
  const storage = sqlite({ path, driver: "libsql", ...options });
  onTestFinished(() => storage.close());
  await storage.init({ clock: options.clock ?? new ManualClock() });
  return storage;
}

/** A connection past the adapter. With the same driver: two SQLite libraries in one process do not see each other's locks. */
export function connected(path: string): Connection {
  const connection = new DriverFinder().find("libsql").open(path);
  onTestFinished(() => connection.close());
  return connection;
}

/** What a test does to the driver's calls. Throws to make them fail. */
export type Tampering = (sql: string, values: unknown, execute: () => unknown) => unknown;

/** libsql, with every call passing through `tamper`. */
export function tampered(tamper: Tampering): DatabaseConstructor {
  const Libsql = createRequire(import.meta.url)("libsql") as DatabaseConstructor;
  return class Tampered extends Libsql {
    override prepare(sql: string): NativeStatement {
      const statement = super.prepare(sql);
      for (const method of ["run", "get", "all"] as const) {
        const execute = statement[method].bind(statement);
        statement[method] = (values: unknown) => tamper(sql, values, () => execute(values));
      }
      return statement;
    }

    override exec(sql: string): unknown {
      return tamper(sql, [], () => super.exec(sql));
    }
  };
}

/** An error as libsql throws it. */
export function sqliteError(code: string, rawCode: number): Error {
  return Object.assign(new Error(`made up: ${code}`), { code, rawCode });
}

export function newRun(id: string, parts: Partial<NewRun> = {}): NewRun {
  return {
    id,
    jobId: "job",
    version: "1.0.0",
    status: "PENDING",
    wakeAt: 0,
    payload: "{}",
    ...parts,
  };
}

export async function create(storage: Storage, ...runs: NewRun[]): Promise<void> {
  await storage.createRuns(
    runs.map((first) => ({ createId: `create ${first.id}`, groups: [{ first }] })),
  );
}

export function leased(id: string, parts: Partial<NewRun> = {}): NewRun {
  return newRun(id, { lease: { workerId: "worker", leaseMs: 30_000 }, ...parts });
}

export function task(path: string, seq: number, parts: Partial<TaskWrite> = {}): TaskWrite {
  return {
    path,
    seq,
    kind: "task",
    status: "COMPLETED",
    attempts: 1,
    output: "1",
    error: null,
    startedAt: 1,
    finishedAt: 2,
    wakeAt: null,
    data: null,
    ...parts,
  };
}

export function claim(parts: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    claimId: "claim",
    workerId: "worker",
    jobIds: ["job"],
    limit: 10,
    leaseMs: 30_000,
    limits: {},
    suspects: 1,
    taskBudget: 1_000_000,
    ...parts,
  };
}
