import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { compileFilter } from "../../src/core/filter.js";
import { blocksOf, programsOf } from "../readme/blocks.js";
import { brokenLinks } from "../readme/links.js";
import { ProgramFolder, root } from "../readme/program-folder.js";

const docs = join(root, "docs");
const pages = readdirSync(docs).filter((name) => name.endsWith(".md"));
const textOf = (page: string) => readFileSync(join(docs, page), "utf8");

const folder = new ProgramFolder("docs");
afterAll(() => folder.remove());

describe.each(pages)("docs/%s", (page) => {
  const blocks = blocksOf(textOf(page));

  test("has blocks that are checked here, or say that they are not run", () => {
    const kinds = blocks.map(({ language, info = "" }) => `${language} ${info}`.trim());
    const known = ["js", "ts", "ts no-run", "sh", "text"];
    expect(kinds.filter((kind) => !known.includes(kind))).toEqual([]);
  });

  test("links to files and headings that exist", () => {
    expect(brokenLinks(join(docs, page))).toEqual([]);
  });

  for (const program of programsOf(blocks)) {
    test.concurrent(`the program in line ${program.line} prints what stands below it`, async () => {
      expect(await folder.run(folder.write(program, page))).toBe(program.output);
    });
  }
});

test("the index names each page", () => {
  const index = textOf("README.md");
  const others = pages.filter((page) => page !== "README.md");
  expect(others.filter((page) => !index.includes(`](${page})`))).toEqual([]);
});

test("the table of filters says what filters do", () => {
  const rows = textOf("events-and-filters.md").matchAll(/^\| `([[{].*?)` +\| (.*)\| (.*)\|$/gm);
  const valuesOf = (cell = "") =>
    [...cell.matchAll(/`(.+?)`|missing/g)].map(([, json]) =>
      json === undefined ? {} : { v: JSON.parse(json) as unknown },
    );
  let count = 0;
  for (const [, condition = "", met, unmet] of rows) {
    const meets = compileFilter({ v: JSON.parse(condition) as unknown }, "filter");
    for (const value of valuesOf(met)) expect([condition, value, meets(value)]).toContain(true);
    for (const value of valuesOf(unmet)) expect([condition, value, meets(value)]).toContain(false);
    count += valuesOf(met).length + valuesOf(unmet).length;
  }
  expect(count).toBeGreaterThan(100);
});

test("the programs of all pages are well typed", async () => {
  const typed = new ProgramFolder("docs-types");
  try {
    for (const page of pages)
      for (const program of programsOf(blocksOf(textOf(page)))) typed.write(program, page);
    const options = { compilerOptions: { paths: {} }, include: ["*.ts"] };
    const config = { extends: "../../tsconfig.json", ...options };
    writeFileSync(join(typed.path, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const said = promisify(execFile)(process.execPath, [tsc, "-p", typed.path]).catch(
      (error: { stdout: string }) => error,
    );
    expect((await said).stdout).toBe("");
  } finally {
    typed.remove();
  }
});

test("a program that prints something else, or fails, is found", async () => {
  const page = '```ts\nconsole.log(1 + 1);\n```\n\n```text\n3\n```\n\n```ts\nthrow "x";\n```\n';
  const [wrong, failing] = programsOf(blocksOf(page));
  if (wrong === undefined || failing === undefined) throw new Error("There are two programs.");
  expect([wrong.output, await folder.run(folder.write(wrong))]).toEqual(["3\n", "2\n"]);
  await expect(folder.run(folder.write(failing))).rejects.toThrow();
});
