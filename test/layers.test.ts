import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

/**
 * What the linter cannot say exactly: where each import leads, and who may read the clock.
 * Folders that are not listed (adapter-kit, cli) and src/index.ts import freely.
 */
type Layer = Readonly<{ folders: readonly string[]; packages?: readonly string[] }>;

const corePackages = ["croner", "devalue", "ulid", "@noble/hashes"];
const enginePackages = [...corePackages, "p-retry", "debug", "zod"];
/** What a guarded request is made of, and no more. */
const nodeModules = ["node:dns", "node:http", "node:https", "node:net", "node:stream", "node:zlib"];
const layers: Readonly<Record<string, Layer>> = {
  core: { folders: ["core"], packages: corePackages },
  engine: { folders: ["core", "engine"], packages: enginePackages },
  http: { folders: ["core", "engine", "http"] },
  dashboard: { folders: ["core", "engine", "dashboard"] },
  integrations: { folders: ["core", "engine", "integrations"] },
  "safe-fetch": { folders: ["core", "safe-fetch"], packages: nodeModules },
  testing: { folders: ["core", "engine", "testing", "storage/memory"] },
};
const runtimeImports: Readonly<Record<string, string>> = {
  "engine/async-context.ts": "node:async_hooks",
};
const clockFiles = ["engine/system-clock.ts"];
const clockNames = ["Date.now", "Math.random", "performance.now"];
const timerNames = ["setTimeout", "setInterval"];

const src = resolve(import.meta.dirname, "../src");

function sourcePaths(): string[] {
  if (!existsSync(src)) return [];
  const paths = readdirSync(src, { recursive: true, encoding: "utf8" });
  return paths.filter((path) => path.endsWith(".ts")).sort();
}

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

/** Specifiers of static imports, re-exports, `import()` and `import("…")` types. */
function importsOf(file: ts.SourceFile): string[] {
  const found: string[] = [];
  const add = (node: ts.Node | undefined): void => {
    if (node && ts.isStringLiteralLike(node)) found.push(node.text);
  };
  visit(file, (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0]);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal);
  });
  return found;
}

function layerOf(path: string): Layer | undefined {
  const [folder = "", adapter = ""] = path.split("/");
  return folder === "storage"
    ? { folders: ["core", "storage/shared", `storage/${adapter}`] }
    : layers[folder];
}

function mayImport(path: string, specifier: string): boolean {
  const layer = layerOf(path);
  if (!layer || runtimeImports[path] === specifier) return true;
  if (specifier.startsWith(".")) {
    const target = relative(src, join(src, dirname(path), specifier));
    return layer.folders.some((folder) => target.startsWith(`${folder}/`));
  }
  if (!layer.packages) return !/^pawl(\/|$)/.test(specifier);
  return layer.packages.some((name) => specifier === name || specifier.startsWith(`${name}/`));
}

function isTimer(node: ts.Node): boolean {
  if (!ts.isIdentifier(node) || !timerNames.includes(node.text)) return false;
  if (ts.isTypeQueryNode(node.parent)) return false;
  if (ts.isPropertyAccessExpression(node.parent) && node.parent.name === node)
    return node.parent.expression.getText() === "globalThis";
  return !("name" in node.parent && node.parent.name === node);
}

function readsTimeOrChance(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node))
    return clockNames.includes(node.getText().replace(/^globalThis\./, ""));
  const isDate =
    (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === "Date";
  return isDate ? !node.arguments?.length || ts.isCallExpression(node) : isTimer(node);
}

function clockReads(file: ts.SourceFile): string[] {
  const found: string[] = [];
  visit(file, (node) => {
    if (!readsTimeOrChance(node)) return;
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    found.push(`line ${line + 1}: ${node.getText()}`);
  });
  return found;
}

describe("layers", () => {
  test.each(sourcePaths())("%s imports only what its layer may", (path) => {
    const file = parse(path, readFileSync(join(src, path), "utf8"));
    expect(importsOf(file).filter((specifier) => !mayImport(path, specifier))).toEqual([]);
  });

  const timeless = sourcePaths().filter((path) => /^(core|engine)\//.test(path));
  test.each(timeless.filter((path) => !clockFiles.includes(path)))(
    "%s takes time and chance as arguments",
    (path) => {
      expect(clockReads(parse(path, readFileSync(join(src, path), "utf8")))).toEqual([]);
    },
  );
});

describe("the layer rules themselves", () => {
  test.each([
    ["core/run.ts", "./task.js", true],
    ["core/run.ts", "devalue", true],
    ["core/hash.ts", "@noble/hashes/sha2.js", true],
    ["core/run.ts", "zod", false],
    ["core/run.ts", "node:crypto", false],
    ["core/run.ts", "../engine/worker.js", false],
    ["engine/io/wait.ts", "../../core/run.js", true],
    ["engine/worker.ts", "../storage/memory/index.js", false],
    ["engine/worker.ts", "node:async_hooks", false],
    ["engine/async-context.ts", "node:async_hooks", true],
    ["storage/sqlite/driver.ts", "node:sqlite", true],
    ["storage/sqlite/index.ts", "../../core/storage.js", true],
    ["storage/sqlite/index.ts", "../memory/index.js", false],
    ["storage/sqlite/load-driver.ts", "../shared/installed-modules.js", true],
    ["storage/shared/installed-modules.ts", "../sqlite/index.js", false],
    ["storage/sqlite/index.ts", "../../engine/client.js", false],
    ["storage/sqlite/index.ts", "pawl", false],
    ["testing/index.ts", "../storage/memory/index.js", true],
    ["safe-fetch/index.ts", "../core/public-address.js", true],
    ["safe-fetch/exchange.ts", "node:https", true],
    ["safe-fetch/exchange.ts", "node:child_process", false],
    ["safe-fetch/index.ts", "../engine/client.js", false],
    ["engine/io/background-fetch.ts", "../../safe-fetch/index.js", false],
    ["core/public-address.ts", "../safe-fetch/index.js", false],
  ])("%s importing %s: %s", (path, specifier, allowed) => {
    expect(mayImport(path, specifier)).toBe(allowed);
  });

  test.each([
    "Date.now()",
    "globalThis.Date.now()",
    "new Date()",
    "Date()",
    "Math.random()",
    "setTimeout(f, 1)",
    "globalThis.setInterval(f, 1)",
    "const clock = { sleep: setTimeout }",
    "const now = Date.now",
  ])("%s is seen", (code) => {
    expect(clockReads(parse("x.ts", code))).toHaveLength(1);
  });

  test.each([
    "new Date(now)",
    "clock.setTimeout(f, 1)",
    "type T = ReturnType<typeof setTimeout>",
    "interface Clock { setTimeout(f: () => void, ms: number): void }",
    "clock.now()",
  ])("%s is left alone", (code) => {
    expect(clockReads(parse("x.ts", code))).toEqual([]);
  });

  test("every form of import is seen", () => {
    const code =
      'import "a"; export * from "b"; await import("c"); type T = import("d").T; import type { E } from "e";';
    expect(importsOf(parse("x.ts", code))).toEqual(["a", "b", "c", "d", "e"]);
  });
});
