import { StorageError } from "../../core/errors.js";
import {
  type Require,
  type RuntimeProcess,
  requireFor,
  requiresOf,
} from "../shared/installed-modules.js";
import {
  type DatabaseConstructor,
  type Driver,
  type DriverName,
  driverNames,
  driverOf,
  type StatementStyle,
} from "./driver.js";

/** A driver's `Database` class, or the module that exports it. */
export type DriverSource = DriverName | object;

interface FileBuiltin {
  readFileSync(path: string, encoding: "utf8"): string;
}

/** Finds drivers at run time only, see `requiresOf`. */
export class DriverFinder {
  readonly #process: RuntimeProcess;
  readonly #problems: string[] = [];

  constructor(runtime: RuntimeProcess = process) {
    this.#process = runtime;
  }

  find(source: DriverSource | undefined): Driver {
    if (source === undefined) return this.#findAny();
    if (typeof source !== "string") return driverFromModule(source);
    const driver = this.#byName(source as DriverName);
    if (driver !== undefined) return driver;
    throw this.#missing(
      `The SQLite driver "${source}", which the option "driver" asks for, cannot be loaded.`,
      source as DriverName,
    );
  }

  #findAny(): Driver {
    for (const name of driverNames) {
      const driver = this.#byName(name);
      if (driver !== undefined) return driver;
    }
    throw this.#missing("No SQLite driver was found.");
  }

  #byName(name: DriverName): Driver | undefined {
    if (name === "node:sqlite" || name === "bun:sqlite") return this.#builtin(name);
    const require = requireFor(name, this.#process);
    if (require === undefined) return undefined;
    if (name === "better-sqlite3") this.#checkBetterSqlite(require);
    try {
      return driverFromModule(require(name) as object, name);
    } catch (error) {
      // Installed without its binary, for another platform, …: the next driver may do.
      this.#problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  #builtin(name: "node:sqlite" | "bun:sqlite"): Driver | undefined {
    const bun = this.#process.versions?.bun !== undefined;
    if (bun !== (name === "bun:sqlite")) return undefined;
    const loaded = bun
      ? requiresOf(this.#process)[0]?.(name)
      : this.#process.getBuiltinModule?.(name);
    return typeof loaded === "object" && loaded !== null
      ? driverFromModule(loaded, name)
      : undefined;
  }

  /** better-sqlite3 13 ends a process on Node 20 with a segmentation fault as soon as it is used. */
  #checkBetterSqlite(require: Require): void {
    const version = this.#versionOf(require, "better-sqlite3");
    if (version === undefined || major(version) < 13 || major(this.#process.version) >= 22) return;
    throw new StorageError(
      "DRIVER_UNSUPPORTED",
      `better-sqlite3 ${version} crashes on Node ${this.#process.version}; run "npm install better-sqlite3@12" or "npm install libsql", or update Node.`,
      { details: { driver: "better-sqlite3", version } },
    );
  }

  #versionOf(require: Require, name: string): string | undefined {
    try {
      const files = this.#process.getBuiltinModule?.("node:fs") as FileBuiltin;
      const text = files.readFileSync(require.resolve(`${name}/package.json`), "utf8");
      return String((JSON.parse(text) as { version?: unknown }).version);
    } catch {
      return undefined;
    }
  }

  #wayTo(wanted: DriverName, runtime: string): string {
    const otherwise = 'or leave the option out and run "npm install libsql".';
    if (wanted === "node:sqlite")
      return `It is part of Node 22.13 and later, this is ${runtime}: update, ${otherwise}`;
    if (wanted === "bun:sqlite")
      return `It is part of Bun, this is ${runtime}: name another driver, ${otherwise}`;
    const old = wanted === "better-sqlite3" && major(this.#process.version) < 22;
    return `On ${runtime} run "npm install ${wanted}${old ? "@12" : ""}".`;
  }

  #missing(what: string, wanted?: DriverName): StorageError {
    const runtime = this.#process.versions?.bun
      ? "Bun"
      : `Node ${this.#process.version ?? ""}`.trim();
    const tried = this.#problems.length === 0 ? "" : ` Tried: ${this.#problems.join("; ")}.`;
    return new StorageError(
      "DRIVER_MISSING",
      `${what} ${wanted === undefined ? wayToAny(runtime) : this.#wayTo(wanted, runtime)}${tried}`,
    );
  }
}

function wayToAny(runtime: string): string {
  return `On ${runtime} run "npm install libsql", or use a Node that has node:sqlite (22.13 or later).`;
}

function major(version: string | undefined): number {
  return Number.parseInt((version ?? "").replace(/^v/, ""), 10);
}

/** Recognises what was passed by what it has: a module of one of the four, or its class. */
function driverFromModule(source: object, name?: string): Driver {
  const exported = source as { DatabaseSync?: unknown; Database?: unknown; default?: unknown };
  const found = [exported, exported.DatabaseSync, exported.Database, exported.default].find(
    isClass,
  );
  if (found === undefined) {
    throw new StorageError(
      "DRIVER_UNSUPPORTED",
      `The driver option is neither one of ${driverNames.join(", ")} nor a Database class of theirs.`,
    );
  }
  return driverOf(name ?? found.name, styleOf(found), found);
}

function isClass(value: unknown): value is DatabaseConstructor {
  return typeof value === "function" && typeof value.prototype?.prepare === "function";
}

function styleOf(Database: DatabaseConstructor): StatementStyle {
  const has = (name: string): boolean => name in (Database.prototype as object);
  if (has("pragma")) return "array";
  return has("createSession") || Database.name === "DatabaseSync" ? "node" : "bun";
}
