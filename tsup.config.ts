import { defineConfig } from "tsup";

/** One entry per subpath of `exports` in package.json, and the binary. */
export default defineConfig({
  entry: {
    index: "src/index.ts",
    definitions: "src/definitions.ts",
    memory: "src/storage/memory/index.ts",
    sqlite: "src/storage/sqlite/index.ts",
    postgres: "src/storage/postgres/index.ts",
    testing: "src/testing/index.ts",
    "adapter-kit": "src/adapter-kit/index.ts",
    "safe-fetch": "src/safe-fetch/index.ts",
    "integrations/slack": "src/integrations/slack/index.ts",
    "integrations/openai": "src/integrations/openai/index.ts",
    cli: "src/cli/bin.ts",
  },
  tsconfig: "tsconfig.build.json",
  format: ["esm"],
  target: "node20",
  platform: "node",
  dts: true,
  // One copy of each module serves every subpath, so error classes and the async context are shared.
  splitting: true,
  sourcemap: true,
  clean: true,
  treeshake: true,
  minify: false,
  // tsup strips `node:` by default; `node:sqlite` exists only under that name.
  removeNodeProtocol: false,
});
