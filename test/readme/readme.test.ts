import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { blocksOf, programsOf } from "./blocks.js";
import { brokenLinks } from "./links.js";
import { ProgramFolder, root } from "./program-folder.js";

const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = blocksOf(readme);
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

const folder = new ProgramFolder("readme");
afterAll(() => folder.remove());

describe("README.md", () => {
  const known = ["js", "ts", "sh", "text"];

  test("has blocks of languages that are checked here", () => {
    expect(blocks.map((block) => block.language).filter((name) => !known.includes(name))).toEqual(
      [],
    );
  });

  for (const program of programsOf(blocks)) {
    const { code, comment, line, output } = program;
    test.concurrent(`the program in line ${line} prints what stands below it`, async () => {
      if (comment !== undefined) expect(code).toBe(readFileSync(join(root, comment), "utf8"));
      expect(await folder.run(folder.write(program))).toBe(output);
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
    expect(brokenLinks(join(root, "README.md"))).toEqual([]);
  });
});
