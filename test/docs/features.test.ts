import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** All core and expected rows of the acceptance list and those of its nice ones that an issue names, frozen: a row that is missing in the page shows. */
const ids = `
  D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D12 D13 D14
  T1 T2 T3 T4 T5 T6 T8 T9 T10 T12 T13 T14 T16 T17 T18 T19 T20 T21 T22 T23 T25 T26 T29 T30
  K1 K2 K3 K4 K5 K6 K7 K8 K9 K10 K11 K12 K13 K14 K15 K16 K17 K18 K19 K20
  I1 I2 I3 I4 I5 I6 I7 I8 I9 I10 I11 I12 I13 I15 I16 I17 I18 I19 I20 I21 I23
  C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C13 C14 C15
  R1 R2 R4 R5 R6 R7 R8 R9 R10 R11 R12 R14 R15 R16 R17 R18 R19
  N1 N2 N3 N4 N7 N13 N14
`
  .trim()
  .split(/\s+/);

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

interface Row {
  readonly id: string;
  readonly shownBy: string;
  readonly tests: readonly { readonly path: string; readonly title: string }[];
}

const rows: Row[] = [
  ...read("docs/features.md").matchAll(/^\| ([A-Z]\d+) +\|.*\|.*\| (.+?) +\|$/gm),
].map(([, id = "", shownBy = ""]) => ({
  id,
  shownBy,
  tests: [...shownBy.matchAll(/\]\(\.\.\/([^)]+)\) "([^"]+)"/g)].map(
    ([, path = "", title = ""]) => ({ path, title }),
  ),
}));

/** The rows that a title names: "D2, D13: …" names two. */
function named(title: string): string[] {
  return title.slice(0, title.indexOf(":")).split(", ");
}

/** All texts of the tests that begin as such titles do. */
function titlesIn(source: string): string[] {
  const titles = source.matchAll(/["'`]((?:[A-Z]\d+, )*[A-Z]\d+: [^\n]*)/g);
  return [...titles].map(([, title = ""]) => title);
}

describe("docs/features.md", () => {
  test("has each row once, in the order of the list", () => {
    expect(rows.map(({ id }) => id)).toEqual(ids);
  });

  test.each(rows)("$id is shown by tests that name it, or is not there yet", (row) => {
    const { id, shownBy, tests } = row;
    if (shownBy.startsWith("not yet: ")) {
      expect(tests).toEqual([]);
      return;
    }
    expect(tests).not.toEqual([]);
    for (const { path, title } of tests) {
      expect(existsSync(new URL(path, root)), path).toBe(true);
      expect(read(path)).toContain(title);
      expect(named(title)).toContain(id);
    }
  });

  test("says of no row that it is not there yet although a test names it", () => {
    const missing = rows.filter(({ shownBy }) => shownBy.startsWith("not yet: "));
    const folder = fileURLToPath(new URL("test/", root));
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const shown = new Set(
      files
        .filter((file) => file.endsWith(".test.ts"))
        .flatMap((file) => titlesIn(read(`test/${file}`)).flatMap(named)),
    );
    expect(missing.map(({ id }) => id).filter((id) => shown.has(id))).toEqual([]);
    expect(rows.length - missing.length).toBeGreaterThan(90);
  });
});
