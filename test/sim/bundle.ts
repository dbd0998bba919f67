import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import type { Report } from "./main.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A change of one source file. `find` must be there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** The simulation with the sources as they are, or with some of them changed, as one file to run. */
export class Bundle {
  readonly #folder: string;

  /** Arguments for each process. */
  readonly #store: (lane: number) => readonly string[];

  private constructor(folder: string, store: (lane: number) => readonly string[]) {
    this.#folder = folder;
    this.#store = store;
  }

  /** @param store what main.ts is told of the store, for each process; default: nothing */
  static async make(
    edits: readonly Edit[] = [],
    store: (lane: number) => readonly string[] = () => [],
  ): Promise<Bundle> {
    // Inside of node_modules, so that the native drivers are found.
    const parent = join(root, "node_modules", ".pawl-sim");
    mkdirSync(parent, { recursive: true });
    const bundle = new Bundle(mkdtempSync(join(parent, "bundle-")), store);
    const used = new Set<Edit>();
    try {
      await build({
        entryPoints: [join(root, "test/sim/main.ts")],
        outfile: bundle.#file,
        bundle: true,
        platform: "node",
        format: "esm",
        target: "node20",
        external: ["libsql", "better-sqlite3", "bun:sqlite", "pg"],
        sourcemap: "inline",
        logLevel: "silent",
        banner: {
          js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
        },
        plugins: [editing(edits, used)],
      });
      for (const edit of edits) if (!used.has(edit)) throw new Error(`${edit.file} is not used`);
    } catch (error) {
      bundle.remove();
      throw error;
    }
    return bundle;
  }

  get #file(): string {
    return join(this.#folder, "sim.mjs");
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Simulates `count` seeds from `from` on, in as many processes as there are cores. */
  async simulate(count: number, from: number, stopAt: number): Promise<Report> {
    const lanes = Math.min(count, Math.max(2, availableParallelism()));
    const stop = new AbortController();
    const reports = await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        const share = Math.ceil((count - lane) / lanes);
        const text = await this.#run(
          [
            ...["--from", from + lane, "--step", lanes, "--count", share, "--stop-at", stopAt],
            ...this.#store(lane),
          ],
          stop.signal,
        );
        if (text === undefined) return undefined;
        const report = JSON.parse(text) as Report;
        if (report.failures.length >= stopAt) stop.abort();
        return report;
      }),
    );
    return sum(reports.filter((report) => report !== undefined));
  }

  /** What happened in one seed, for people. */
  async replay(seed: number): Promise<string> {
    return (await this.#run(["--seed", seed, ...this.#store(0)], undefined)) ?? "";
  }

  /** undefined if it was stopped. */
  #run(
    args: readonly (string | number)[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const env = { ...process.env, PAWL_SIM_FOLDER: this.#folder };
      const options = { env, maxBuffer: 2 ** 28, ...(signal === undefined ? {} : { signal }) };
      const command = ["--enable-source-maps", this.#file, ...args.map(String)];
      const child = execFile(process.execPath, command, options, (error, stdout, stderr) => {
        const settle = () => {
          if (signal?.aborted === true) resolve(undefined);
          else if (error !== null && stdout === "") {
            reject(new Error(`${error.message}\n${stderr}`));
          } else resolve(stdout);
        };
        // One that was stopped may still be writing.
        if (child.exitCode !== null || child.signalCode !== null) settle();
        else child.once("exit", settle);
      });
    });
  }
}

function editing(edits: readonly Edit[], used: Set<Edit>): Plugin {
  return {
    name: "edits",
    setup(build) {
      build.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
        let contents = readFileSync(path, "utf8");
        for (const edit of edits) {
          if (relative(root, path) !== edit.file) continue;
          if (contents.split(edit.find).length !== 2) {
            throw new Error(`planted bug: ${edit.file} must have once: ${edit.find}`);
          }
          contents = contents.replace(edit.find, () => edit.replace);
          used.add(edit);
        }
        return { contents, loader: "ts" };
      });
    },
  };
}

function sum(reports: readonly Report[]): Report {
  const counts: Record<string, number> = {};
  const troubles: Record<string, number> = {};
  for (const report of reports) {
    for (const [name, count] of Object.entries(report.counts))
      counts[name] = (counts[name] ?? 0) + count;
    for (const [name, count] of Object.entries(report.troubles))
      troubles[name] = (troubles[name] ?? 0) + count;
  }
  return {
    seeds: reports.reduce((total, { seeds }) => total + seeds, 0),
    twice: reports.reduce((total, { twice }) => total + twice, 0),
    ms: Math.max(0, ...reports.map(({ ms }) => ms)),
    failures: reports.flatMap(({ failures }) => failures),
    counts,
    troubles,
  };
}
