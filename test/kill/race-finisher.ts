// A process of the races that starts them, sends the events, completes the tokens and executes the children.
import { createClient } from "pawl";
import { LedgerWriter } from "./ledger.js";
import { apart, instant, kindOf, type RaceKind, racedJob, withNotes } from "./race-jobs.js";
import { openStore } from "./store.js";

const AT_A_TIME = 12;
/** A wait is recorded some commits after the meeting; a child takes about as many to come to its end. */
const apartMs: Readonly<Record<RaceKind, number>> = { event: 80, token: 80, child: 20 };

const [address = "", ledgerPath = "", count = "0"] = process.argv.slice(2);
const ledger = new LedgerWriter(ledgerPath);
const children = new Map<string, number>();
const meetings = new Map<number, () => void>();
const client = createClient({
  storage: withNotes(openStore(address), ({ runId, run }, from, to) => {
    const n = children.get(runId);
    if (n !== undefined && run?.status === "COMPLETED")
      ledger.write("finished", process.pid, n, from, to);
  }),
  jobs: [
    racedJob((runId, n) => {
      ledger.write("child", process.pid, n);
      children.set(runId, n);
    }),
  ],
  pollMs: 100,
});
/** As a sender in another process that does the same at the same moment. */
const rival = createClient({ storage: openStore(address) });

const finishers: Readonly<Record<RaceKind, (n: number, token: string) => Promise<unknown>>> = {
  async event(n) {
    const event = { name: "race", id: `race-${n}`, payload: { n } };
    await timed(n, () => Promise.all([client, rival].map((one) => one.sendEvent(event))));
  },
  async token(n, token) {
    const answers = await timed(n, () =>
      Promise.all([client, rival].map((one, by) => one.completeToken(token, { n, by }))),
    );
    ledger.write("won", process.pid, n, answers.map(({ completed }) => completed).join());
  },
  child: (n) => client.invoke("raced", { n }, { idempotencyKey: `race-${n}` }),
};

async function timed<T>(n: number, finish: () => Promise<T>): Promise<T> {
  const from = instant();
  const answer = await finish();
  ledger.write("finished", process.pid, n, from, instant());
  return answer;
}

async function race(n: number): Promise<void> {
  const kind = kindOf(n);
  const token = kind === "token" ? (await client.createToken()).id : "";
  const met = new Promise<void>((resolve) => meetings.set(n, resolve));
  const { id } = await client.invoke(kind, { n, token });
  await met;
  await apart(apartMs[kind]);
  await Promise.all([finishers[kind](n, token), client.store.env.increment("races")]);
  await client.waitForRun(id);
}

async function raceOn(): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < Number(count)) await race(next++);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
  process.send?.("over");
}

process.on("message", (message: { meet: number }) => meetings.get(message.meet)?.());
process.once("SIGTERM", () => {
  void Promise.all([client.stop(), rival.stop()]).then(() => process.exit());
});
process.once("disconnect", () => process.exit());
await client.start();
await raceOn();
