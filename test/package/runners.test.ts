import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Consumer, tool } from "./consumer.js";
import { asCommonJs } from "./programs.js";

/** A test as users write it, by the names that vitest, Jest and node:test share. */
const subject = `
import { defineJob, invokeTrigger } from "pawl";
import { testJob } from "pawl/testing";

const job = defineJob({
  id: "remind",
  trigger: invokeTrigger(),
  retry: { limit: 3 },
  run: async (payload, io) => {
    await io.wait("a year", { days: 365 });
    return io.runTask("send", () => { throw new Error("not mocked"); });
  },
});

test("a year passes at once", async () => {
  const send = (task) => {
    if (task.attempt < 2) throw new Error("down");
    return "sent";
  };
  const { status, output, tasks } = await testJob(job, { mocks: { send }, replay: "every-task" });
  same([status, output, tasks.length], ["COMPLETED", "sent", 2]);
});
`;

const sameByExpect = "const same = (a, b) => expect(a).toEqual(b);";
const sameByAssert = `
import { test } from "node:test";
import { deepEqual as same } from "node:assert/strict";
`;

/** Compiles what is ESM for Jest's own \`require\`, with any compiler that knows import.meta. */
const esbuildTransform = `
const { transformSync } = require(${JSON.stringify(tool("esbuild"))});
module.exports = {
  process: (source, file) => transformSync(source, {
    format: "cjs", target: "node20", loader: "js", sourcefile: file, sourcemap: "inline", logLevel: "silent",
  }),
};
`;
const esmPackages = ["pawl", "devalue", "ulid", "@noble", "p-retry", "is-network-error"];
const jestForCommonJs = {
  rootDir: ".",
  testMatch: ["**/*.spec.js"],
  transform: { "\\.m?js$": "<rootDir>/transform.cjs" },
  transformIgnorePatterns: [`/node_modules/(?!(${esmPackages.join("|")})/)`],
};
const jestForModules = { rootDir: ".", testMatch: ["**/*.spec.mjs"], transform: {} };

const consumer = new Consumer();
beforeAll(async () => {
  await consumer.install(["jest@30"]);
  consumer.write({
    "node.test.mjs": sameByAssert + subject,
    "node.test.cjs": asCommonJs(
      sameByAssert.replace("deepEqual as same", "deepEqual: same") + subject,
    ),
    "jest-esm/a.spec.mjs": sameByExpect + subject,
    "jest-esm/jest.config.json": JSON.stringify(jestForModules),
    "jest-cjs/a.spec.js": asCommonJs(sameByExpect + subject),
    "jest-cjs/jest.config.json": JSON.stringify(jestForCommonJs),
    "jest-cjs/transform.cjs": esbuildTransform,
    "jest-bare/a.spec.js": asCommonJs(sameByExpect + subject),
    "jest-bare/jest.config.json": JSON.stringify({ ...jestForCommonJs, transform: {} }),
  });
});
afterAll(() => consumer.remove());

const jest = "node_modules/jest/bin/jest.js";

describe("testJob works", () => {
  test.each(["node.test.mjs", "node.test.cjs"])("under node:test, %s", async (file) => {
    const { code, stdout } = await consumer.node("--test", "--test-reporter=tap", file);
    expect(stdout).toMatch(/# pass 1\n# fail 0/);
    expect(code).toBe(0);
  });

  test("under Jest with ES modules", async () => {
    const args = ["--experimental-vm-modules", jest, "--config", "jest-esm/jest.config.json"];
    const { code, stderr } = await consumer.node(...args);
    expect(stderr).toContain("Tests:       1 passed");
    expect(code).toBe(0);
  });

  test("under Jest with CommonJS, where ESM packages are compiled", async () => {
    const { code, stderr } = await consumer.node(jest, "--config", "jest-cjs/jest.config.json");
    expect(stderr).toContain("Tests:       1 passed");
    expect(code).toBe(0);
  });

  test("not under Jest with CommonJS and nothing else: its require takes no ES module (README)", async () => {
    const { code, stderr } = await consumer.node(jest, "--config", "jest-bare/jest.config.json");
    // From Node 24.9 on, Jest's require takes ES modules as Node's does.
    if (code !== 0)
      expect(stderr).toMatch(/Must use import to load ES Module|transformIgnorePatterns/);
  });
});
