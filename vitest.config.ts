import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const fromRoot = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Tests import the library by its public names and get the sources. */
const sources = {
  "pawl/memory": fromRoot("src/storage/memory/index.ts"),
  "pawl/sqlite": fromRoot("src/storage/sqlite/index.ts"),
  "pawl/postgres": fromRoot("src/storage/postgres/index.ts"),
  "pawl/testing": fromRoot("src/testing/index.ts"),
  "pawl/adapter-kit": fromRoot("src/adapter-kit/index.ts"),
  "pawl/safe-fetch": fromRoot("src/safe-fetch/index.ts"),
  "pawl/integrations/slack": fromRoot("src/integrations/slack/index.ts"),
  "pawl/integrations/openai": fromRoot("src/integrations/openai/index.ts"),
  pawl: fromRoot("src/index.ts"),
};

/** These run against the built package; `scripts/ensure-build.mjs` builds it if it is out of date. */
const builtPackage = [
  "test/package/**/*.test.ts",
  "test/examples/**/*.test.ts",
  "test/readme/**/*.test.ts",
  "test/docs/docs.test.ts",
];
const processKills = ["test/kill/**/*.test.ts"];
const onPostgres = ["test/postgres/**/*.test.ts"];
/** Finds a server, or starts one. */
const postgresServer = "test/postgres/global-setup.ts";
/** The engine tests that tell most about a store: CI has no time for all of them on each. */
const tellMostOfStores = [
  "cancel",
  "children-later",
  "concurrency-limits",
  "crash-after-send",
  "delayed-events",
  "events",
  "execution-limit",
  "filters-of-get-runs",
  "flow-control",
  "flow-control-in-trouble",
  "idempotency",
  "invoke-and-wait",
  "overtaking",
  "priority-and-order",
  "purge",
  "retry-and-replay",
  "retry-during-park",
  "schedules",
  "status-machine",
  "stores",
  "ttl-and-max-duration",
  "wait-for-event",
].map((name) => `test/engine/${name}.test.ts`);
const simulation = ["test/sim/**/*.test.ts"];

/** CI reads these files for its last line: one for each npm script that runs tests. */
const scriptName = (process.env.npm_lifecycle_event ?? "vitest").replaceAll(":", "-");
const resultFile = `.test-results/${scriptName}.json`;

export default defineConfig({
  test: {
    reporters: process.env.CI ? ["default", ["json", { outputFile: resultFile }]] : ["default"],
    pool: "forks",
    // By default one is left out, which on two cores is half of them; most files wait for disks and servers.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: true,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      exclude: ["src/cli/bin.ts"],
      reporter: ["text-summary", "html", "json-summary"],
      thresholds: {
        statements: 95,
        branches: 95,
        functions: 95,
        lines: 95,
        "src/core/**": { statements: 100, branches: 100, functions: 100, lines: 100 },
      },
    },
    projects: [
      {
        extends: true,
        resolve: { alias: sources },
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...builtPackage, ...processKills, ...simulation, ...onPostgres],
        },
      },
      {
        extends: true,
        resolve: { alias: sources },
        test: {
          name: "postgres",
          include: onPostgres,
          globalSetup: postgresServer,
        },
      },
      {
        // The same tests as in "unit", a socket away: npm run test:postgres.
        extends: true,
        resolve: { alias: sources },
        test: {
          name: "engine-on-postgres",
          include: ["test/engine/**/*.test.ts"],
          globalSetup: postgresServer,
        },
      },
      {
        extends: true,
        resolve: { alias: sources },
        test: {
          name: "engine-on-postgres-short",
          include: tellMostOfStores,
          globalSetup: postgresServer,
        },
      },
      {
        extends: true,
        test: {
          name: "types",
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ["test/types/**/*.test-d.ts"],
            tsconfig: "tsconfig.json",
          },
        },
      },
      {
        extends: true,
        test: {
          name: "dist",
          include: builtPackage,
          globalSetup: ["scripts/ensure-build.mjs", postgresServer],
        },
      },
      {
        extends: true,
        test: {
          name: "kill",
          include: processKills,
          globalSetup: ["scripts/ensure-build.mjs", postgresServer],
        },
      },
      {
        extends: true,
        resolve: { alias: sources },
        test: { name: "sim", include: simulation },
      },
    ],
  },
});
