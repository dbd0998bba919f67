// The conformance suite on one SQLite driver. scripts/driver-matrix.mjs bundles this file and runs
// it under each runtime: <runtime> suite.mjs <driver> <file for the result>.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testStorage } from "pawl/adapter-kit";
import { sqlite } from "pawl/sqlite";

const [driver, resultFile] = process.argv.slice(2);
const cases = [];
let topic = "";

testStorage({
  name: driver,
  runner: {
    describe: (title, body) => {
      topic = title;
      body();
    },
    test: Object.assign((title, body) => cases.push({ title: `${topic} > ${title}`, body }), {
      skip: (title) => cases.push({ title: `${topic} > ${title}` }),
    }),
  },
  create: () => {
    const folder = mkdtempSync(join(tmpdir(), "pawl-driver-"));
    return {
      open: () => sqlite({ path: join(folder, "runs.db"), driver, durability: "relaxed" }),
      dispose: () => rmSync(folder, { recursive: true }),
    };
  },
});

const results = [];
for (const { title, body } of cases) {
  let status = body === undefined ? "pending" : "passed";
  let message;
  const skip = () => {
    status = "pending";
  };
  try {
    await body?.({ skip });
  } catch (error) {
    status = "failed";
    message = error?.stack ?? String(error);
  }
  results.push({ title, status, message });
}

const { bun, node } = process.versions;
const runtime = bun === undefined ? `Node ${node}` : `Bun ${bun}`;
writeFileSync(resultFile, JSON.stringify({ runtime, results }));
