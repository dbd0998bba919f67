import { type FetchFunction, isPawlError } from "pawl";
import { interruptionsOf } from "./faults.js";
import { never, type Process } from "./process.js";
import type { End, Scenario } from "./scenario.js";
import { oneRun } from "./scenarios-tasks.js";

/** A service that answers its n-th request so, and all later ones as the last; it notes each key that it gets. */
function service(process: Process, states: readonly [status: number, state: string][]) {
  const { ledger } = process.stage;
  const fetch: FetchFunction = async (_url, { headers }) => {
    if (process.isDead) return never();
    process.stage.sign();
    const [status, state] = states[Math.min(ledger.noted("request"), states.length - 1)] ?? [500];
    ledger.note("request");
    ledger.note(`key ${headers.get("idempotency-key")}`);
    return Response.json({ state }, { status: status ?? 500 });
  };
  return fetch;
}

const most = (end: End, usual: number) => usual + interruptionsOf(end.stage.fired?.kind);

export const httpScenarios: readonly Scenario[] = [
  oneRun(
    "backgroundFetch that is tried again",
    async (io, p) => {
      const fetch = service(p, [
        [503, "busy"],
        [200, "done"],
      ]);
      const { state } = await io.backgroundFetch<{ state: string }>(
        "post",
        "http://service.test/",
        { method: "POST", body: "x" },
        { fetch, retry: { "5xx": { strategy: "backoff", minTimeoutInMs: 500, randomize: false } } },
      );
      return p.task(io, "after", () => state);
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.count("job", 1);
        end.all("job", "COMPLETED", "done");
        if (end.stage.repeats === 0) end.noted("request", 2, most(end, 2));
      },
      slackMs: 5_000,
    },
  ),
  oneRun(
    "backgroundFetch once, with one key in all its tries",
    async (io, p) => {
      const fetch = service(p, [[200, "done"]]);
      const init = { method: "POST", body: "x" };
      await io.backgroundFetch("post", "http://service.test/", init, { fetch });
      await io.wait("pause", "2s");
      return p.task(io, "after", () => "done");
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.all("job", "COMPLETED", "done");
        const { ledger, repeats } = end.stage;
        const keys = ledger.notes("key ");
        if (repeats === 0 && (keys.length !== 1 || keys[0] === "key null"))
          throw new Error(`the keys were ${keys}`);
        if (repeats === 0) end.noted("request", 1, most(end, 1));
      },
    },
  ),
  oneRun(
    "backgroundPoll until the answer fits",
    async (io, p) => {
      const fetch = service(p, [
        [200, "working"],
        [500, "working"],
        [200, "done"],
      ]);
      const { state } = await io.backgroundPoll<{ state: string }>("ready", {
        url: "http://service.test/",
        interval: "5s",
        timeout: "10m",
        responseFilter: { body: { state: ["done"] } },
        fetch,
      });
      return p.task(io, "after", () => state);
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.count("job", 1);
        end.all("job", "COMPLETED", "done");
      },
      slackMs: 10_000,
    },
  ),
  oneRun(
    "backgroundPoll that gives up",
    async (io, p) => {
      const fetch = service(p, [[200, "working"]]);
      try {
        await io.backgroundPoll("ready", {
          url: "http://service.test/",
          interval: "5s",
          timeout: "20s",
          responseFilter: { body: { state: ["done"] } },
          fetch,
        });
        return "ready";
      } catch (error) {
        return isPawlError(error, "WAIT_TIMEOUT") ? "never" : String(error);
      }
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.count("job", 1);
        end.all("job", "COMPLETED", "never");
        for (const { startedAt, finishedAt } of end.of("job")) {
          const ms = (finishedAt ?? 0) - (startedAt ?? 0);
          if (ms < 20_000) throw new Error(`it gave up after ${ms} ms`);
        }
      },
      slackMs: 10_000,
    },
  ),
];
