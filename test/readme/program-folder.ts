import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Block } from "./blocks.js";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const typescript = new URL("../../scripts/ts.mjs", import.meta.url).href;

/** Where programs of documents lie while they are executed: below the root, so that "pawl" is this package. */
export class ProgramFolder {
  readonly path: string;

  constructor(name: string) {
    mkdirSync(join(root, ".test-results"), { recursive: true });
    this.path = mkdtempSync(join(root, ".test-results", `${name}-`));
  }

  /** The file that a block was written to. */
  write({ language, code, line }: Block, document = "readme"): string {
    const file = join(this.path, `${document}-line-${line}.${language === "ts" ? "ts" : "mjs"}`);
    writeFileSync(file, code);
    return file;
  }

  /** What a program prints, executed in a folder of its own. Rejects if it fails. */
  async run(file: string): Promise<string> {
    const cwd = mkdtempSync(join(tmpdir(), "pawl-readme-"));
    try {
      const args = ["--import", typescript, file];
      return (await promisify(execFile)(process.execPath, args, { cwd })).stdout;
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
