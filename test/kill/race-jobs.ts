// Waits that meet what they wait for: an event, a token, a child. Who finishes them is another process.
import { setTimeout as pause } from "node:timers/promises";
import { type AnyJob, defineJob, type Io, invokeTrigger, isPawlError } from "pawl";
import type { Storage } from "pawl/adapter-kit";

export const raceKinds = ["event", "token", "child"] as const;
export type RaceKind = (typeof raceKinds)[number];

/** The kind of the n-th race. */
export function kindOf(n: number): RaceKind {
  return raceKinds[n % raceKinds.length] ?? "event";
}

export interface Race {
  readonly n: number;
  readonly token: string;
}

/** Both sides pause for a random time before they do their part. */
export const apart = (mostMs: number) => pause(Math.random() * mostMs);

/** Of the side that waits. The others have their own, so that each of them is now the first and now the second. */
export const waiterApartMs = (isServer: boolean) => (isServer ? 120 : 12);

/** The same clock in all processes of a machine, in milliseconds. */
export const instant = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Path of the wait in each race. */
const WAIT = "wait";

/**
 * @param meet tells the other side that this one is about to wait
 * @param began says which race a run is
 * @param apartMs see {@link waiterApartMs}
 */
export function waitingJobs(
  meet: (n: number) => void,
  began: (runId: string, n: number) => void,
  apartMs: number,
): AnyJob[] {
  const jobOf = (kind: RaceKind, wait: (io: Io, race: Race) => Promise<unknown>) =>
    defineJob({
      id: kind,
      trigger: invokeTrigger(),
      run: async (payload, io, context) => {
        const race = payload as Race;
        began(context.run.id, race.n);
        await io.runTask("meet", async () => {
          meet(race.n);
          await apart(apartMs);
        });
        const received = await wait(io, race);
        await io.store.env.increment("count", "races");
        return received;
      },
    });
  return [
    jobOf("event", async (io, { n }) => {
      const wanted = { name: "race", filter: { n: [n] } };
      const first = await io.waitForEvent(WAIT, wanted);
      return { first: first.payload, second: await nothingMore(io, wanted) };
    }),
    jobOf("token", (io, { token }) => io.waitForToken(WAIT, token)),
    jobOf("child", async (io, { n }) => {
      const result = await io.invokeAndWait(WAIT, "raced", { n }, { idempotencyKey: `race-${n}` });
      return result.ok ? result.output : result.error.message;
    }),
  ];
}

/** An event that came twice would be received here. */
async function nothingMore(io: Io, wanted: { name: string; filter: { n: number[] } }) {
  try {
    return (await io.waitForEvent("again", wanted, { timeout: "20ms" })).payload;
  } catch (error) {
    if (!isPawlError(error, "WAIT_TIMEOUT")) throw error;
    return "nothing";
  }
}

/** The child of the third kind. */
export function racedJob(ended: (runId: string, n: number) => void): AnyJob {
  return defineJob({
    id: "raced",
    trigger: invokeTrigger(),
    run: async (payload, io, context) => {
      const { n } = payload as { n: number };
      await io.store.env.increment("count", "races");
      ended(context.run.id, n);
      return { n };
    },
  });
}

type Commit = Storage["commit"];

/** Notes when commits that matter were sent and answered. */
export function withNotes(
  storage: Storage,
  note: (write: Parameters<Commit>[0][number], from: number, to: number) => void,
): Storage {
  const commit: Commit = async (writes) => {
    const from = instant();
    const answers = await storage.commit(writes);
    const to = instant();
    for (const [index, write] of writes.entries())
      if (answers[index]?.result === "ok") note(write, from, to);
    return answers;
  };
  return new Proxy(storage, {
    get(target, name) {
      const value: unknown = name === "commit" ? commit : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

export function isRegistration({ tasks = [] }: Parameters<Commit>[0][number]): boolean {
  return tasks.some(({ path, status }) => path === WAIT && status === "WAITING");
}
