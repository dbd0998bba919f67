import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface PackedFile {
  readonly path: string;
  readonly size: number;
}

export interface Packed {
  readonly tarball: string;
  readonly size: number;
  readonly files: readonly PackedFile[];
}

/** Node runs what it is given, in no mode that this process was started in. */
const environment = { ...process.env, NODE_OPTIONS: "", NODE_ENV: "", VITEST: "", CI: "" };

/** Runs a program to its end, however it ends. */
export function run(program: string, args: readonly string[], cwd: string): Promise<Result> {
  return new Promise((done) => {
    const options = { cwd, env: environment, maxBuffer: 1 << 28 };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      done({ code, stdout, stderr });
    });
  });
}

/** The standard output of a program that must succeed. */
export async function output(
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, cwd);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
}

/** A tool of this repository, for consumers that need none of their own. */
export function tool(path: string): string {
  return join(root, "node_modules", path);
}

/** What npm would publish, from the build that is there. */
export async function pack(folder: string): Promise<Packed> {
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const answer: unknown = JSON.parse(await output("npm", args, root));
  const [packed] = answer as { filename: string; size: number; files: PackedFile[] }[];
  if (packed === undefined) throw new Error("npm pack made nothing.");
  return { tarball: join(folder, packed.filename), size: packed.size, files: packed.files };
}

/** A project somewhere else on the disk, which has installed the packed library like anybody would. */
export class Consumer {
  readonly folder = mkdtempSync(join(tmpdir(), "pawl-consumer-"));

  /** Installs the tarball and further packages; afterwards nothing needs the network. */
  async install(packages: readonly string[] = []): Promise<Packed> {
    this.write({ "package.json": JSON.stringify({ name: "consumer", private: true }) });
    const packed = await pack(this.folder);
    const flags = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
    await output("npm", ["install", packed.tarball, ...packages, ...flags], this.folder);
    return packed;
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(this.path(path)), { recursive: true });
      writeFileSync(this.path(path), text);
    }
  }

  read(path: string): string {
    return readFileSync(this.path(path), "utf8");
  }

  path(path: string): string {
    return join(this.folder, path);
  }

  /** Runs a program of the consumer's with node. */
  node(...args: readonly string[]): Promise<Result> {
    return run(process.execPath, args, this.folder);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
