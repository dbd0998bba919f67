import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, inject, test } from "vitest";
import { runProgram, startProgram } from "./run-program.js";

process.env.DATABASE_URL = inject("postgresUrl");

const outputs: Record<string, string | readonly RegExp[]> = {
  "hello.mjs": "COMPLETED Hello, world!",
  "memoized-tasks.ts": "run() begins\nmeasuring\nrun() begins\nthe same figure",
  "retries.ts": `charge, attempt 1
charge, attempt 2
charge, attempt 3
not printed: There is no printer.
COMPLETED receipt 17
charge COMPLETED 3
print FAILED 1`,
  "durable-wait.ts": `trial opened
Run <id> waits at "trial-time" until <time>. Nothing needs to be done.
the first client is gone
trial closed
COMPLETED`,
  "crash-and-resume.ts": `walls, in execution 1
roof, in execution 1
the worker ended with SIGKILL
roof, in execution 2
garden, in execution 2
COMPLETED`,
  "fan-out.ts": `{
  sizes: [ 3, 6, 4 ],
  small: [ 'sea-small', 'forest-small', 'city-small' ]
}`,
  "cancel.ts": [
    /^sending\n/,
    /\n\{ canceled: true \}\n/,
    /\naborted\n/,
    /\nonCancel of upload\n/,
    /\nCANCELED Run <id> was cancell?ed/,
    /\n\{ canceled: false \}$/,
  ],
  "approval.ts": `a plotter for 900?
{ completed: true }
{ completed: false }
COMPLETED Ada bought a plotter`,
  "fan-in.ts": "o-1: 2, 1, 3\n0 runs for an order without parcels",
  "schedules.ts": `[ [ 'customer-1', { plan: 'pro' } ] ]
heartbeat 3 ticks ahead
report [ '09:00', '09:00', '09:00' ]
two beats`,
  "debounce.ts": `[ 'letter in version 5', 'poem in version 50' ]
8 saves gave way to a later one`,
  "per-customer.ts": `4 conversions, at most 1 at a time for one customer
report 3 of ada: RATE_LIMITED
a second sync of ada is the first one: true`,
  "polling-an-export.ts": [
    /^COMPLETED 2 rows\nasked 2 times, with the same key: true\nask 2\nready 3\ndownload 1\n/,
    /method: 'POST',\n {2}url: 'http:\/\/127\.0\.0\.1:\d+\/exports',\n {2}headers: \{ authorization: '\[redacted\]' \}/,
  ],
  "integration-by-hand.ts": "WAITING_ON_CONNECTIONS\nCOMPLETED { number: 1 }\n2 requests, 1 ticket",
  "llm-with-rate-limits.ts": `rain: 200
rain: 200 again
tea: 200
cats: 429
cats: 200
[ 'a poem about rain', 'a poem about tea', 'a poem about cats' ]
1 crash, 3 answers paid for, 1 minute of waiting`,
  "idempotent-invoke.ts": "one run\nlabel for o-1, key true\nIDEMPOTENCY_CONFLICT",
  "hooks.ts": [
    /^onStart of check$/m,
    /^task look completed$/m,
    /^onSuccess with fine$/m,
    /^onFailure: not good$/m,
  ],
  "postgres-fleet.ts": `one of three workers was killed
30 labels for 30 orders { COMPLETED: 30 }`,
  "outbox-drizzle.ts": [
    /^o-2: the moon is not for sale$/m,
    /^mail for o-1: pen$/m,
    /^mail for o-3: ink$/m,
    /^orders: o-1, o-3\nevent of o-2: none$/m,
  ],
  "transactional-task-prisma.ts": `o-1, attempt 1
o-1, attempt 2
o-1 is booked
[ { id: 'o-1', amount: 3 } ]`,
  "testing-a-job.ts": [/^# pass 1$/m, /^# fail 0$/m],
};

/** Run elsewhere: a server, the quick start (an npm script), an adapter (by the conformance suite). */
const elsewhere = ["express-app.ts", "quickstart.ts", "custom-adapter.ts"];

test("each example is run by a test", () => {
  const folder = fileURLToPath(new URL("../../examples", import.meta.url));
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map((entry) => entry.name);
  expect(names).toEqual(expect.arrayContaining(Object.keys(outputs)));
  expect(names.filter((name) => !(name in outputs) && !elsewhere.includes(name))).toEqual([]);
});

test.concurrent.each(Object.entries(outputs))("%s prints what it says", async (file, expected) => {
  const { code, stdout, stderr } = await runProgram(`examples/${file}`);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  if (typeof expected === "string") expect(stdout).toBe(expected);
  else for (const pattern of expected) expect(stdout).toMatch(pattern);
});

test("express-app.ts answers requests, refuses a bad one, and ends on SIGTERM", async () => {
  const app = startProgram("examples/express-app.ts");
  const [line] = (await once(app.stdout ?? app, "data")) as [Buffer];
  const url = line.toString().trim();
  const post = (body: unknown) =>
    fetch(`${url}/sign-ups`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  expect((await post({ email: "nobody" })).status).toBe(400);
  const { id } = (await (await post({ email: "a@b.co" })).json()) as { id: string };
  await expect
    .poll(async () => (await fetch(`${url}/runs/${id}`)).json(), { timeout: 30_000 })
    .toMatchObject({ status: "COMPLETED", output: { welcomed: "a@b.co" } });
  expect((await fetch(`${url}/runs/unknown`)).status).toBe(404);

  app.kill("SIGTERM");
  const [code] = (await once(app, "exit")) as [number | null];
  expect(code).toBe(0);
});
