import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { blocksOf } from "./blocks.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const typescript = new URL("../../scripts/ts.mjs", import.meta.url).href;
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = blocksOf(readme);
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

// Below the root, so that "pawl" is this package; each run in a folder of its own.
mkdirSync(join(root, ".test-results"), { recursive: true });
const programs = mkdtempSync(join(root, ".test-results", "readme-"));
afterAll(() => rmSync(programs, { recursive: true, force: true }));

async function run(file: string): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), "pawl-readme-"));
  try {
    const args = ["--import", typescript, file];
    return (await promisify(execFile)(process.execPath, args, { cwd })).stdout;
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

describe("README.md", () => {
  const known = ["js", "ts", "sh", "text"];

  test("has blocks of languages that are checked here", () => {
    expect(blocks.map((block) => block.language).filter((name) => !known.includes(name))).toEqual(
      [],
    );
  });

  for (const [index, { language, code, comment, line }] of blocks.entries()) {
    if (language !== "js" && language !== "ts") continue;
    const shown = blocks[index + 1];
    test.concurrent(`the program in line ${line} prints what stands below it`, async () => {
      if (comment !== undefined) expect(code).toBe(readFileSync(join(root, comment), "utf8"));
      const file = join(programs, `line-${line}.${language === "ts" ? "ts" : "mjs"}`);
      writeFileSync(file, code);
      expect(await run(file)).toBe(shown?.language === "text" ? shown.code : "");
    });
  }

  for (const { code, line } of blocks.filter((block) => block.language === "sh")) {
    // CI runs these commands themselves.
    test(`the command in line ${line} is a script of this package`, () => {
      const commands = code.trim().split(" && ");
      const names = commands.filter((name) => name !== "npm ci");
      expect(names).not.toEqual([]);
      for (const name of names) expect(scripts).toHaveProperty(name.replace(/^npm (run )?/, ""));
    });
  }

  test("shows the output that the quick start has", () => {
    const shown = blocks.find((block) => block.code.includes("runs by status"));
    const source = readFileSync(join(root, "examples/quickstart.ts"), "utf8");
    const labels = [...source.matchAll(/^([a-z][a-z ]+[a-z]) {2,}\$\{/gm)].map((match) => match[1]);
    expect(labels.length).toBeGreaterThan(5);
    for (const label of labels) expect(shown?.code).toContain(label);
  });

  test("lists each error code as the source has it", async () => {
    const args = ["--import", "./scripts/ts.mjs", "scripts/error-codes.mjs", "--check"];
    await promisify(execFile)(process.execPath, args, { cwd: root });
  });

  test("links to files and headings that exist", () => {
    const headings = (text: string) =>
      [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
        String(match[1])
          .toLowerCase()
          .replaceAll(/[^\w -]/g, "")
          .replaceAll(" ", "-"),
      );
    for (const [, target = ""] of readme.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = "", heading] = target.split("#");
      const path = join(root, file === "" ? "README.md" : file);
      expect(existsSync(path), target).toBe(true);
      if (heading !== undefined) expect(headings(readFileSync(path, "utf8"))).toContain(heading);
    }
  });
});
