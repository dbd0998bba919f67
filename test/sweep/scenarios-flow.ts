import {
  defineJob,
  eventTrigger,
  type Io,
  invokeTrigger,
  isPawlError,
  type JobOptions,
} from "pawl";
import { isFinal } from "../../src/core/run-status.js";
import type { RunRecord } from "../../src/core/storage.js";
import type { Host } from "./host.js";
import type { Process } from "./process.js";
import type { End, Scenario } from "./scenario.js";
import type { Stage } from "./stage.js";

type Rules = Partial<
  Pick<
    JobOptions<unknown, unknown, unknown, Record<never, never>>,
    "debounce" | "throttle" | "rateLimit" | "singleton"
  >
>;
type Program = (io: Io, process: Process, runId: string) => Promise<unknown>;

interface Setting {
  readonly rules: Rules;
  readonly program?: Program;
  readonly hears?: string;
}

/** Says when it started, the first time. */
const quick: Program = (io, p, runId) =>
  p.task(io, "a", () => {
    const { ledger, clock } = p.stage;
    if (ledger.executionsOf(`${runId}/a`) === 1) ledger.note(`start at ${clock.elapsedMs}`);
    return "done";
  });

/** The same job in three processes: two work, one only sends. The swept one is "worker" or "sender". */
function hosts(stage: Stage, { rules, program = quick, hears }: Setting) {
  const jobs = (process: Process) => [
    defineJob({
      id: "job",
      ...(hears === undefined
        ? { trigger: invokeTrigger() }
        : { trigger: eventTrigger({ name: hears }) }),
      ...rules,
      run: (_payload: unknown, io: Io, context) => program(io, process, context.run.id),
    }),
  ];
  const [worker, other, sender] = ["worker", "other", "sender"].map((name) =>
    stage.host(name, { jobs }),
  );
  if (worker === undefined || other === undefined || sender === undefined) throw new Error();
  return { worker, other, sender };
}

/** The id of the run, or the code of why there is none. */
async function tryInvoke(host: Host, idempotencyKey: string): Promise<string> {
  try {
    return await host.command(
      async (client) => (await client.invoke("job", idempotencyKey, { idempotencyKey })).id,
    );
  } catch (error) {
    if (!isPawlError(error)) throw error;
    return error.code;
  }
}

const sendOne = (host: Host, id: string) =>
  host.command(async (client) => (await client.sendEvent({ name: "news", id })).runIds[0] ?? "");

const codeOf = ({ error }: RunRecord) =>
  error === null ? undefined : (JSON.parse(error) as { code?: string }).code;

/** Runs of the job that were not kept from starting. */
const startsOf = (end: End) => end.of("job").filter(({ status }) => status !== "CANCELED");

function assertCount(what: string, count: number, least: number, most = least): void {
  if (count < least || count > most)
    throw new Error(`${count} ${what} instead of ${least} to ${most}`);
}

function assertEnds(end: End, status: string, code: string): void {
  for (const run of end.of("job")) {
    if (run.status === "COMPLETED") continue;
    end.one(run, status);
    if (codeOf(run) !== code) throw new Error(`run ${run.id} ended with ${codeOf(run)}`);
    if (end.stage.ledger.executionsOf(`${run.id}/a`) > 0)
      throw new Error(`run ${run.id} was kept from starting, and started`);
  }
}

/**
 * No period holds more starts than the limit, as they were decided; one that is late by a tenth
 * counts as of its turn. Where nothing came in between they are also those that tasks saw.
 */
function assertRate(end: End, limit: number, periodMs: number): void {
  const { ledger, fired } = end.stage;
  const decided = ledger.throttledStarts("job");
  assertSpaced(decided, limit, periodMs);
  assertCount("starts that were decided", decided.length, startsOf(end).length);
  const wasOnTime = fired === undefined || ["error once", "answer lost"].includes(fired.kind);
  if (!wasOnTime) return;
  const seen = ledger.notedTimes("start at ");
  assertCount("starts that were seen", seen.length, decided.length);
  assertSpaced(seen, limit, periodMs * 0.9);
}

function assertSpaced(starts: readonly number[], limit: number, periodMs: number): void {
  for (const [index, at] of starts.entries()) {
    const earlier = starts[index - limit];
    if (earlier !== undefined && at - earlier < periodMs)
      throw new Error(`${limit + 1} starts in ${at - earlier} ms: ${starts}`);
  }
}

/** Its run is the only open one whose code has begun. */
function alone(stage: Stage, seconds: number): Program {
  return async (io, p, runId) => {
    await p.task(io, "a", async () => {
      const open = (await stage.runs()).filter(
        ({ id, jobId, status }) =>
          jobId === "job" && !isFinal(status) && stage.ledger.executionsOf(`${id}/a`) > 0,
      );
      // A run that was replaced a moment ago learns of it at its next commit.
      if (open.length > 1 && open.some(({ id }) => id === runId))
        stage.ledger.violations.push(`${open.map(({ id }) => id)} were open at a time`);
    });
    await io.wait("busy", seconds);
    return p.task(io, "b", () => "done");
  };
}

async function assertThere(stage: Stage, ids: readonly string[]): Promise<void> {
  for (const id of ids) await stage.run(id);
}

const scenarios: readonly Scenario[] = [
  {
    name: "rateLimit: three invokes at a time, two may start",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { rateLimit: { limit: 2, period: "1h" } },
      });
      await worker.start();
      await other.start();
      const answers = await Promise.all([
        tryInvoke(worker, "x"),
        tryInvoke(sender, "y"),
        tryInvoke(other, "z"),
      ]);
      const ids = answers.filter((answer) => answer !== "RATE_LIMITED");
      assertCount("invokes that were let through", ids.length, 2);
      await assertThere(stage, ids);
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 2, { exact: true });
      end.all("job", "COMPLETED", "done");
    },
  },
  {
    name: "rateLimit: four events, two may start",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { rateLimit: { limit: 2, period: "1h" } },
        hears: "news",
      });
      await worker.start();
      await other.start();
      const ids = [];
      for (const [index, host] of [worker, sender, worker, sender].entries())
        ids.push(await sendOne(host, `e${index}`));
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 4, { exact: true });
      assertCount("starts", startsOf(end).length, 2);
      assertEnds(end, "CANCELED", "RATE_LIMITED");
    },
  },
  {
    name: "throttle: one start in five seconds",
    maxParked: [1_000, 0],
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { throttle: { limit: 1, period: "5s" } },
      });
      await worker.start();
      await other.start();
      const ids = [];
      for (const [index, host] of [worker, sender, worker, sender].entries())
        ids.push(await tryInvoke(host, `k${index}`));
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 4, { exact: true });
      end.all("job", "COMPLETED", "done");
      assertRate(end, 1, 5_000);
    },
    slackMs: 25_000,
  },
  {
    name: "throttle: events, two starts in five seconds",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { throttle: { limit: 2, period: "5s" } },
        hears: "news",
      });
      await worker.start();
      await other.start();
      const sent = await sender.command((client) =>
        client.sendEvents([1, 2, 3, 4, 5].map((n) => ({ name: "news", id: `e${n}` }))),
      );
      await stage.ended(...sent.flatMap(({ runIds }) => runIds));
    },
    check: (end) => {
      end.count("job", 5, { exact: true });
      end.all("job", "COMPLETED", "done");
      assertRate(end, 2, 5_000);
    },
    slackMs: 25_000,
  },
  {
    name: "debounce: the last of three starts",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { debounce: { period: "5s" } },
        hears: "news",
      });
      await worker.start();
      await other.start();
      const ids: string[] = [];
      for (const [index, host] of [worker, sender, worker].entries()) {
        ids.push(await sendOne(host, `e${index}`));
        await stage.pause(1_000);
      }
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 3, { exact: true });
      assertEnds(end, "CANCELED", "RUN_SUPERSEDED");
      end.one(end.of("job").at(-1), "COMPLETED", "done");
      // What comes after an outage or a takeover may find the others gone on.
      if (end.stage.fired === undefined) assertCount("starts", startsOf(end).length, 1);
    },
    slackMs: 15_000,
  },
  {
    name: "debounce: invokes, with a longest delay",
    async script(stage) {
      const { worker, other } = hosts(stage, {
        rules: { debounce: { period: "4s", maxDelay: "6s" } },
      });
      await worker.start();
      await other.start();
      const ids: string[] = [];
      for (let n = 0; n < 5; n++) {
        ids.push(await tryInvoke(worker, `k${n}`));
        await stage.pause(2_000);
      }
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 5, { exact: true });
      assertEnds(end, "CANCELED", "RUN_SUPERSEDED");
      end.one(end.of("job").at(-1), "COMPLETED", "done");
      if (end.stage.fired === undefined) assertCount("starts", startsOf(end).length, 2);
    },
    slackMs: 15_000,
  },
  {
    name: "singleton skip: invokes in two processes",
    maxParked: [1_000, 0],
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { singleton: { mode: "skip" } },
        program: alone(stage, 3),
      });
      await worker.start();
      await other.start();
      const ids: string[] = [];
      const answers = [
        ...(await Promise.all([tryInvoke(worker, "x"), tryInvoke(sender, "y")])),
        await tryInvoke(worker, "z"),
      ];
      for (const answer of answers) if (answer !== "RUN_SKIPPED") ids.push(answer);
      if (stage.fired === undefined) assertCount("invokes that were let through", ids.length, 1);
      await assertThere(stage, ids);
      await stage.ended(...ids);
    },
    check: (end) => {
      assertCount("runs", end.of("job").length, 1, 3);
      end.all("job", "COMPLETED", "done");
    },
    slackMs: 10_000,
  },
  {
    name: "singleton skip: events",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { singleton: { mode: "skip" } },
        program: alone(stage, 3),
        hears: "news",
      });
      await worker.start();
      await other.start();
      const ids = [];
      for (const [index, host] of [worker, sender, worker].entries())
        ids.push(await sendOne(host, `e${index}`));
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 3, { exact: true });
      assertEnds(end, "CANCELED", "RUN_SKIPPED");
      assertCount("starts", startsOf(end).length, 1, end.stage.fired === undefined ? 1 : 3);
    },
    slackMs: 10_000,
  },
  {
    name: "singleton join: everybody is given the open run",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { singleton: { mode: "join" } },
        program: alone(stage, 3),
      });
      await worker.start();
      await other.start();
      const ids = await Promise.all([tryInvoke(worker, "x"), tryInvoke(sender, "y")]);
      ids.push(await tryInvoke(worker, "z"));
      await assertThere(stage, ids);
      if (stage.fired === undefined) assertCount("runs", new Set(ids).size, 1);
      await stage.ended(...ids);
    },
    check: (end) => {
      assertCount("runs", end.of("job").length, 1, 3);
      end.all("job", "COMPLETED", "done");
    },
    slackMs: 10_000,
  },
  {
    name: "singleton replace: the last one stays",
    maxParked: [1_000, 0],
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { singleton: { mode: "replace" } },
        program: alone(stage, 4),
      });
      await worker.start();
      await other.start();
      const ids: string[] = [];
      for (const [index, host] of [worker, sender, worker].entries()) {
        ids.push(await tryInvoke(host, `k${index}`));
        await stage.pause(1_000);
      }
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 3, { exact: true });
      assertReplaced(end);
      if (end.stage.fired === undefined) assertCount("runs", startsOf(end).length, 1);
    },
    slackMs: 15_000,
  },
  {
    name: "singleton replace: invokes while no worker is there",
    async script(stage) {
      const { worker, sender } = hosts(stage, {
        rules: { singleton: { mode: "replace" } },
        program: alone(stage, 4),
      });
      const ids: string[] = [];
      for (const key of ["x", "y", "z"]) ids.push(await tryInvoke(worker, key));
      ids.push(await tryInvoke(sender, "last"));
      await worker.start();
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 4, { exact: true });
      assertReplaced(end);
      assertCount("runs", startsOf(end).length, 1);
    },
    slackMs: 15_000,
  },
  {
    name: "singleton replace: events",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: { singleton: { mode: "replace" } },
        program: alone(stage, 4),
        hears: "news",
      });
      await worker.start();
      await other.start();
      const ids: string[] = [];
      for (const [index, host] of [worker, sender, worker].entries()) {
        ids.push(await sendOne(host, `e${index}`));
        // Of two that were started in one millisecond either may be the later one.
        await stage.pause(2);
      }
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 3, { exact: true });
      assertReplaced(end);
    },
    slackMs: 15_000,
  },
  {
    name: "all rules together",
    async script(stage) {
      const { worker, other, sender } = hosts(stage, {
        rules: {
          debounce: { period: "2s" },
          rateLimit: { limit: 2, period: "1h" },
          singleton: { mode: "skip" },
          throttle: { limit: 1, period: "10s" },
        },
        hears: "news",
      });
      await worker.start();
      await other.start();
      const ids: string[] = [];
      for (let burst = 0; burst < 3; burst++) {
        for (const host of [worker, sender]) ids.push(await sendOne(host, `e${ids.length}`));
        await stage.pause(4_000);
      }
      await stage.ended(...ids);
    },
    check: (end) => {
      end.count("job", 6, { exact: true });
      assertCount("starts", startsOf(end).length, 1, 2);
      assertRate(end, 1, 10_000);
      for (const run of end.of("job")) {
        if (run.status === "COMPLETED") continue;
        end.one(run, "CANCELED");
        if (!["RUN_SUPERSEDED", "RATE_LIMITED", "RUN_SKIPPED"].includes(codeOf(run) ?? ""))
          throw new Error(`run ${run.id} ended with ${run.error}`);
      }
    },
    slackMs: 25_000,
  },
];

/** Who gave way gave way to a later one that is there; the last one stays. */
function assertReplaced(end: End): void {
  const runs = end.of("job");
  for (const run of runs) {
    if (run.status === "COMPLETED") continue;
    end.one(run, "CANCELED");
    const { code, details } = JSON.parse(run.error ?? "{}") as {
      code?: string;
      details?: { runId?: string };
    };
    const by = runs.find(({ id }) => id === details?.runId);
    if (code !== "RUN_SUPERSEDED" || by === undefined || by.createdAt < run.createdAt)
      throw new Error(`run ${run.id} ended with ${run.error}`);
  }
  end.one(runs.at(-1), "COMPLETED", "done");
}

/** A parent with children under a rule: a crash in between starts no second one. */
function childUnder(
  name: string,
  rules: Rules,
  parent: Program,
  child: Program,
  rest: Omit<Scenario, "name" | "script">,
): Scenario {
  return {
    name,
    ...rest,
    async script(stage) {
      const jobs = (process: Process) => [
        defineJob({
          id: "parent",
          trigger: invokeTrigger(),
          run: (_payload: unknown, io: Io, context) => parent(io, process, context.run.id),
        }),
        defineJob({
          id: "job",
          trigger: invokeTrigger(),
          ...rules,
          run: (_payload: unknown, io: Io, context) => child(io, process, context.run.id),
        }),
      ];
      const worker = stage.host("worker", { jobs });
      const other = stage.host("other", { jobs });
      await worker.start();
      await other.start();
      const only = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("parent", 1, only));
      await stage.ended(id);
    },
  };
}

async function outcomeOf(invoked: Promise<unknown>): Promise<unknown> {
  try {
    await invoked;
    return "started";
  } catch (error) {
    return isPawlError(error) ? error.code : error;
  }
}

const children: readonly Scenario[] = [
  childUnder(
    "rateLimit: a child, and one too many",
    { rateLimit: { limit: 1, period: "1h" } },
    async (io, p) => {
      const first = await outcomeOf(io.invoke("first", "job", 1));
      const second = await outcomeOf(io.invokeAndWait("second", "job", 2));
      return p.task(io, "after", () => [first, second]);
    },
    quick,
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.all("parent", "COMPLETED", ["started", "RATE_LIMITED"]);
        end.count("job", 1, { exact: true });
        end.all("job", "COMPLETED", "done");
      },
    },
  ),
  childUnder(
    "throttle: children that are waited for",
    { throttle: { limit: 1, period: "4s" } },
    async (io) => {
      const items = [1, 2, 3].map((payload) => ({ payload }));
      const results = await io.batchInvokeAndWait("all", "job", items);
      return results.map((result) => (result.ok ? result.output : "failed"));
    },
    quick,
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.all("parent", "COMPLETED", ["done", "done", "done"]);
        end.count("job", 3, { exact: true });
        assertRate(end, 1, 4_000);
      },
      slackMs: 20_000,
    },
  ),
  childUnder(
    "singleton: a second child is skipped",
    { singleton: { mode: "skip" } },
    async (io, p) => {
      const first = await outcomeOf(io.invoke("first", "job", 1));
      const second = await outcomeOf(io.invokeAndWait("second", "job", 2));
      return p.task(io, "after", () => [first, second]);
    },
    async (io, p) => {
      await io.wait("busy", "3m");
      return p.task(io, "a", () => "done");
    },
    {
      check: (end) => {
        end.all("parent", "COMPLETED", ["started", "RUN_SKIPPED"]);
        end.count("job", 1, { exact: true });
        end.all("job", "COMPLETED", "done");
      },
    },
  ),
  childUnder(
    "singleton: a second child joins the first",
    { singleton: { mode: "join" } },
    async (io) => {
      const first = await io.invoke("first", "job", 1);
      const second = await io.invokeAndWait("second", "job", 2);
      return second.ok && second.run.id === first.id;
    },
    async (io, p) => {
      await io.wait("busy", "3m");
      return p.task(io, "a", () => "done");
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.all("parent", "COMPLETED", true);
        end.count("job", 1, { exact: true });
      },
    },
  ),
  childUnder(
    "debounce: the first child gives way, which its parent is told",
    { debounce: { period: "3s" } },
    async (io) => {
      const results = await Promise.all([
        io.invokeAndWait("first", "job", 1),
        io.invokeAndWait("second", "job", 2),
      ]);
      return results.map((result) => (result.ok ? "done" : result.run.status)).sort();
    },
    quick,
    {
      check: (end) => {
        end.count("job", 2, { exact: true });
        assertEnds(end, "CANCELED", "RUN_SUPERSEDED");
        const [parent] = end.of("parent");
        const outcomes = end.stage.fired === undefined ? ["CANCELED", "done"] : undefined;
        end.one(parent, "COMPLETED", outcomes);
      },
      slackMs: 10_000,
    },
  ),
];

/** Both sides are swept where both decide: who works, and who sends. */
export const flowScenarios: readonly Scenario[] = [
  ...scenarios.flatMap((scenario) =>
    /invokes at a time|invokes in two|join|last one stays/.test(scenario.name)
      ? [scenario, { ...scenario, name: `${scenario.name} (sender)`, host: "sender" }]
      : [scenario],
  ),
  ...children,
];
