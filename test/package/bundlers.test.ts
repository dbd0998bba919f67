import { SourceMap } from "node:module";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Consumer, output, tool } from "./consumer.js";
import { helloMemory, helloSqlite } from "./programs.js";

/** No driver is installed where the bundles are made; they run there, or where there is one. */
const bare = new Consumer();
const withDriver = new Consumer();
beforeAll(async () => {
  await Promise.all([bare.install(["webpack@5"]), withDriver.install(["libsql@0.5"])]);
  bare.write({ "memory.mjs": helloMemory, "sqlite.mjs": helloSqlite });
});
afterAll(() => {
  bare.remove();
  withDriver.remove();
});

type Bundler = (program: string, out: string) => Promise<string>;

const esbuild: Bundler = async (program, out) => {
  const options = { bundle: true, platform: "node", target: "node20", logLevel: "silent" } as const;
  const result = await build({
    ...options,
    absWorkingDir: bare.folder,
    entryPoints: [program],
    outfile: out,
    format: out.endsWith(".cjs") ? "cjs" : "esm",
    // debug is CommonJS and asks for builtins by require.
    ...(out.endsWith(".cjs") ? undefined : { banner: { js: requireInEsm } }),
  });
  expect(result.errors).toEqual([]);
  return out;
};

const requireInEsm = `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`;

const vite: Bundler = async (program, out) => {
  const config = {
    logLevel: "error",
    ssr: { noExternal: true },
    build: {
      ssr: program,
      outDir: out.replace(/\.mjs$/, ""),
      rollupOptions: { output: { entryFileNames: "main.mjs" } },
    },
  };
  bare.write({ [`${out}.config.mjs`]: `export default ${JSON.stringify(config)}` });
  await output(
    process.execPath,
    [tool("vite/bin/vite.js"), "build", "--config", `${out}.config.mjs`],
    bare.folder,
  );
  return `${out.replace(/\.mjs$/, "")}/main.mjs`;
};

const webpack: Bundler = async (program, out) => {
  const config = {
    mode: "production",
    optimization: { minimize: false },
    target: "node20",
    context: bare.folder,
    entry: `./${program}`,
    output: { path: bare.folder, filename: out },
  };
  const script = `require("webpack")(${JSON.stringify(config)}, (error, stats) => {
    if (error || stats.hasErrors() || stats.hasWarnings()) {
      console.error(error ?? stats.toString());
      process.exit(1);
    }
  });`;
  await output(process.execPath, ["-e", script], bare.folder);
  return out;
};

const bundlers: [name: string, bundler: Bundler, extension: string][] = [
  ["esbuild", esbuild, "mjs"],
  ["esbuild to CommonJS", esbuild, "cjs"],
  ["Vite SSR", vite, "mjs"],
  ["webpack", webpack, "cjs"],
];

describe.each(bundlers)("%s", (name, bundle, extension) => {
  const file = name.replaceAll(/\W+/g, "-");

  test("bundles hello with no driver installed, and the bundle runs", async () => {
    const made = await bundle("memory.mjs", `${file}-memory.${extension}`);
    const { stdout, stderr } = await bare.node(made);
    expect({ stdout, stderr }).toEqual({ stdout: "hello world\n", stderr: "" });
  });

  test("bundles the SQLite hello with no driver installed; the bundle runs where there is one", async () => {
    const made = await bundle("sqlite.mjs", `${file}-sqlite.${extension}`);
    withDriver.write({ [made]: bare.read(made) });
    const { stdout, stderr } = await withDriver.node(made);
    expect({ stdout, stderr }).toEqual({ stdout: "hello world\n", stderr: "" });
  });
});

/** The files that some character of the code comes from; a map also lists files that gave none. */
function mappedSources(code: string, map: string): string[] {
  const found = new Set<string>();
  const positions = new SourceMap(JSON.parse(map));
  code.split("\n").forEach((line, number) => {
    for (let column = 0; column < line.length; column++) {
      const entry = positions.findEntry(number, column);
      if ("originalSource" in entry && entry.originalSource) found.add(entry.originalSource);
    }
  });
  return [...found];
}

describe("tree shaking", () => {
  /** Sources of ours that are left in a bundle, by the source maps of the package. */
  async function sourcesOf(program: string): Promise<{ sources: string[]; bytes: number }> {
    const result = await build({
      stdin: { contents: program, resolveDir: bare.folder },
      bundle: true,
      platform: "node",
      format: "esm",
      minify: true,
      sourcemap: "external",
      outfile: "out.js",
      absWorkingDir: bare.folder,
      write: false,
    });
    const [map, code] = result.outputFiles;
    const used = mappedSources(code?.text ?? "", map?.text ?? "{}");
    const ours = used.flatMap((path) => path.split("/pawl/src/")[1] ?? []);
    return { sources: ours, bytes: code?.contents.length ?? 0 };
  }

  test("leaves no file of the engine or of an adapter when only defineJob is imported", async () => {
    const program = `import { defineJob } from "pawl"; console.log(defineJob);`;
    const { sources, bytes } = await sourcesOf(program);
    console.log(`defineJob alone: ${bytes} bytes of ${sources.length} files`);
    expect(sources).toContain("core/job.ts");
    expect(sources.filter((path) => !path.startsWith("core/"))).toEqual([]);
  });

  test("leaves the engine in when a client is made", async () => {
    const program = `import { createClient } from "pawl"; console.log(createClient);`;
    const { sources } = await sourcesOf(program);
    expect(sources).toContain("engine/worker.ts");
    expect(sources.filter((path) => /^storage\/(sqlite|postgres)/.test(path))).toEqual([]);
  });
});
