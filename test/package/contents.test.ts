import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import tsup from "../../tsup.config.js";
import { output, type Packed, pack, root, tool } from "./consumer.js";
import { entryPoints, integrations } from "./programs.js";

const manifest = z
  .object({
    exports: z.record(
      z.string(),
      z.union([z.string(), z.object({ types: z.string(), default: z.string() })]),
    ),
    bin: z.record(z.string(), z.string()),
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
    peerDependencies: z.record(z.string(), z.string()),
    peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.literal(true) })),
  })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

const entries = [
  "index",
  "memory",
  "sqlite",
  "postgres",
  "testing",
  "adapter-kit",
  "safe-fetch",
  "integrations/slack",
  "integrations/openai",
  "cli",
];
const peers = ["@slack/web-api", "better-sqlite3", "libsql", "openai", "pg", "postgres"];
/** Exported by no subpath: an entry of its own keeps definitions out of the chunk of the engine. */
const inner = "definitions";
const allowed = [
  new RegExp(`^dist/(${[...entries, inner].join("|")})\\.(js|js\\.map|d\\.ts)$`),
  /^dist\/[a-z-]+-[A-Za-z0-9_-]{8}\.(js|js\.map|d\.ts)$/,
  /^(README|CHANGELOG|ARCHITECTURE|SECURITY)\.md$/,
  /^(LICENSE|package\.json)$/,
];

const folder = mkdtempSync(join(tmpdir(), "pawl-pack-"));
let packed: Packed;
beforeAll(async () => {
  packed = await pack(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the packed tarball", () => {
  test("holds the build and the documents, and nothing else", () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths.filter((path) => !allowed.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(paths).toContain("LICENSE");
    for (const entry of entries) expect(paths).toContain(`dist/${entry}.js`);
  });

  test("has no large file", () => {
    const large = packed.files.filter(({ path, size }) => size > 400_000 && !path.endsWith(".map"));
    expect(large).toEqual([]);
    const unpacked = packed.files.reduce((sum, { size }) => sum + size, 0);
    const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
    console.log(`packed ${kB(packed.size)}, unpacked ${kB(unpacked)}`);
  });

  test("satisfies publint", async () => {
    const said = await output(tool(".bin/publint"), ["run", packed.tarball, "--strict"], root);
    expect(said).toContain("All good!");
  });

  test("has types that fit the code, says attw", async () => {
    const args = [packed.tarball, "--profile", "esm-only", "--format", "json"];
    const said: unknown = JSON.parse(await output(tool(".bin/attw"), args, root));
    expect(said).toMatchObject({ analysis: { types: { kind: "included" } } });
    expect(said).not.toHaveProperty("error");
  });
});

/** What the built code imports, statically or not. */
function imported(): string[] {
  const dist = join(root, "dist");
  const all = readdirSync(dist, { recursive: true, encoding: "utf8" });
  const files = all.filter((name) => name.endsWith(".js"));
  const code = files.map((name) => readFileSync(join(dist, name), "utf8")).join("\n");
  const specifiers =
    /^(?:import|export)\b[^"';]*?\bfrom ["']([^"']+)["']|\bimport\(["']([^"']+)["']\)/gm;
  return [...code.matchAll(specifiers)].map(([, from, called]) => from ?? called ?? "");
}

function isIn(specifier: string, name: string): boolean {
  return specifier === name || specifier.startsWith(`${name}/`);
}

describe("the manifest", () => {
  test("runs no script on installation", () => {
    const onInstall = ["preinstall", "install", "postinstall", "preprepare", "prepare"];
    expect(onInstall.filter((name) => name in manifest.scripts)).toEqual([]);
  });

  test("depends on what was agreed, and on no client of a database or service", () => {
    const agreed = ["@noble/hashes", "croner", "debug", "devalue", "p-retry", "ulid", "zod"];
    const dependencies = Object.keys(manifest.dependencies);
    expect(dependencies.filter((name) => !agreed.includes(name))).toEqual([]);
    expect(Object.keys(manifest.peerDependencies).sort()).toEqual(peers);
    expect(Object.keys(manifest.peerDependenciesMeta).sort()).toEqual(peers);
    const unused = dependencies.filter((name) => !imported().some((path) => isIn(path, name)));
    if (unused.length > 0) console.log(`dependencies that no code imports: ${unused.join(", ")}`);
  });

  test("names every package that the code imports", () => {
    const named = [
      ...Object.keys(manifest.dependencies),
      ...Object.keys(manifest.peerDependencies),
    ];
    const foreign = imported().filter((path) => !/^(\.|node:)/.test(path));
    expect(foreign.length).toBeGreaterThan(3);
    expect(foreign.filter((path) => !named.some((name) => isIn(path, name)))).toEqual([]);
  });

  test("exports what tsup builds, by the same names", () => {
    const built = Object.keys(z.object({ entry: z.object({}).loose() }).parse(tsup).entry);
    const exported = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
      typeof target === "string" ? [] : [{ subpath, ...target }],
    );
    for (const { subpath, types, default: code } of exported) {
      const name = subpath === "." ? "index" : subpath.slice(2);
      expect(code).toBe(`./dist/${name}.js`);
      expect(types).toBe(`./dist/${name}.d.ts`);
      expect(built).toContain(name);
    }
    expect(manifest.bin).toEqual({ pawl: "dist/cli.js" });
    expect(built.filter((name) => name !== inner).sort()).toEqual([...entries].sort());
    expect(exported.map(({ subpath }) => subpath.replace(/^\./, "pawl"))).toEqual([
      ...entryPoints,
      ...integrations.map(({ entry }) => entry),
    ]);
  });
});
