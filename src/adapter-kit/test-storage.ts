import { ManualClock } from "./manual-clock.js";
import { Fixture } from "./suite/fixture.js";
import type { Case, Topic } from "./suite/topic.js";
import { topics } from "./suite/topics.js";
import type { TestStore } from "./test-store.js";

export interface TestContext {
  skip(reason?: string): void;
}

/** What vitest and node:test have in common. */
export interface TestRunner {
  describe(title: string, body: () => void): unknown;
  readonly test: ((title: string, body: (context: TestContext) => Promise<void>) => unknown) & {
    skip(title: string, body: () => void): unknown;
  };
}

/** Cases that this adapter does not pass, and why that is right for it. */
export interface Deviation {
  readonly reason: string;
  /** Titles of cases, or of whole topics. */
  readonly tests: readonly string[];
}

export interface StorageTestOptions {
  readonly name: string;
  /** Called once or twice by each case. The clock is the test's own; time passes only when a case says so. */
  create(clock: ManualClock): TestStore | Promise<TestStore>;
  readonly runner: TestRunner;
  readonly skip?: readonly Deviation[];
  /** All durations in the suite are multiples of this. Default 10,000; small for a store that has to sleep. */
  readonly leaseMs?: number;
}

/**
 * Registers the conformance suite: one `describe` per rule of the storage
 * contract and per method that no rule covers.
 *
 * ```ts
 * testStorage({
 *   name: "memory",
 *   runner: { describe, test },
 *   create: () => {
 *     const data = new MemoryData();
 *     return { open: () => memory({ data }) };
 *   },
 * });
 * ```
 */
export function testStorage(options: StorageTestOptions): void {
  const skipped = skippedTests(options);
  const { describe, test } = options.runner;
  for (const topic of topics)
    describe(`${options.name} storage, ${topic.title}`, () => {
      for (const each of topic.cases) {
        const reason = skipped.get(topic.title) ?? skipped.get(each.title);
        if (reason === undefined)
          test(each.title, (context) => runCase(options, topic, each, context));
        else test.skip(`${each.title} (${reason})`, () => {});
      }
    });
}

/** A skip that names nothing is a skip that has outlived its case. */
function skippedTests({ skip = [] }: StorageTestOptions): Map<string, string> {
  const titles = new Set(
    topics.flatMap(({ title, cases }) => [title, ...cases.map((c) => c.title)]),
  );
  const skipped = new Map<string, string>();
  for (const { reason, tests } of skip)
    for (const title of tests) {
      if (!titles.has(title)) throw new Error(`The suite has no test "${title}" to skip.`);
      skipped.set(title, reason);
    }
  return skipped;
}

async function runCase(
  { create, leaseMs = 10_000 }: StorageTestOptions,
  topic: Topic,
  { run }: Case,
  context: TestContext,
): Promise<void> {
  const clock = new ManualClock();
  const fixture = await Fixture.open({ makeStore: () => create(clock), clock, leaseMs });
  try {
    const lack = topic.lack?.(fixture.a);
    if (lack === undefined) await run(fixture);
    else context.skip(lack);
  } finally {
    await fixture.close();
  }
}
