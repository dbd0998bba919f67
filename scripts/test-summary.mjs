// Reads vitest's JSON results in a folder and prints one closing line: "N passed, N failed".
// Usage: node scripts/test-summary.mjs .test-results. Exits 1 if a test failed or none ran.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2] ?? ".test-results";
const total = { passed: 0, failed: 0, skipped: 0 };
/** How many, by the outermost title. */
const skippedIn = new Map();

for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
  const result = JSON.parse(readFileSync(join(folder, name), "utf8"));
  // A file that could not be loaded has no tests, yet it is a failure.
  const brokenFiles = result.testResults.filter(
    (file) =>
      file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
  );
  total.passed += result.numPassedTests;
  total.failed += result.numFailedTests + brokenFiles.length;
  total.skipped += result.numPendingTests + result.numTodoTests;
  for (const { status, ancestorTitles, fullName } of result.testResults.flatMap(
    (file) => file.assertionResults,
  )) {
    if (status === "passed" || status === "failed") continue;
    const title = ancestorTitles?.[0] ?? fullName;
    skippedIn.set(title, (skippedIn.get(title) ?? 0) + 1);
  }
}

for (const [title, count] of skippedIn) console.log(`skipped: ${count} of "${title}"`);
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
