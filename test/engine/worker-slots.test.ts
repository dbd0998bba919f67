import { expect, test } from "vitest";
import { z } from "zod";
import { defineJob, eventTrigger, type Io, invokeTrigger, type Storage } from "../../src/index.js";
import { gate, takeTurns, turns } from "./drive.js";
import { passingTime, until } from "./support.js";
import { describeEngine } from "./world.js";

const SLOTS = 5;
const RUNS = 200;

/** Counts how many calls of `run` are active at a time; each stays until the others that may start have done so. */
class Bodies {
  active = 0;
  most = 0;
  done = 0;

  async enter(io: Io): Promise<void> {
    this.active++;
    this.most = Math.max(this.most, this.active);
    await io.runTask("work", () => turns(2));
    await turns(2);
    this.active--;
    this.done++;
  }
}

/** Parsing takes its time, so that runs are under way between their claim and their start. */
const slowSchema = z.object({ n: z.number() }).refine(async () => {
  await takeTurns(3);
  return true;
});

function hearer(bodies: Bodies) {
  return defineJob({
    id: "hearer",
    trigger: eventTrigger({ name: "told", schema: slowSchema }),
    run: (_payload, io) => bodies.enter(io),
  });
}

const events = Array.from({ length: RUNS }, (_, n) => ({ name: "told", payload: { n } }));

describeEngine("a worker with five slots", (world) => {
  test("D9: never executes more than five runs of two hundred events that it sends itself", async () => {
    const bodies = new Bodies();
    const client = world().client({ concurrency: SLOTS, jobs: [hearer(bodies)] });
    await client.start();
    await Promise.all(events.map((event) => client.sendEvent(event)));
    await until(() => bodies.done === RUNS);
    expect(bodies.most).toBe(SLOTS);
  });

  test("D9: so it is if the sender has no code and each run is admitted after its claim", async () => {
    const bodies = new Bodies();
    const client = world().client({ concurrency: SLOTS, jobs: [hearer(bodies)] });
    await client.start();
    const sender = world().client();
    for (let at = 0; at < RUNS; at += 50) await sender.sendEvents(events.slice(at, at + 50));
    await passingTime(
      world().clock,
      until(() => bodies.done === RUNS),
    );
    expect(bodies.most).toBe(SLOTS);
  });

  test("D9: so it is if runs start directly while others wait for a slot", async () => {
    const bodies = new Bodies();
    const job = defineJob({
      id: "invoked",
      trigger: invokeTrigger(),
      run: (_payload, io) => bodies.enter(io),
    });
    const client = world().client({ concurrency: SLOTS, jobs: [job, hearer(bodies)] });
    await client.start();
    await until(async () => (await client.stats()).runs.EXECUTING === undefined);
    await turns();
    const sent = events
      .slice(0, RUNS / 2)
      .flatMap((event, n) => [client.invoke(job, n), client.sendEvent(event)]);
    await Promise.all(sent);
    await until(() => bodies.done === RUNS);
    expect(bodies.most).toBe(SLOTS);
  });

  test("D9, E14: so it is when the version starts that gets past what blocked many runs", async () => {
    const bodies = new Bodies();
    let isOld = true;
    const jobIn = (version: string) =>
      defineJob({
        id: "invoked",
        trigger: invokeTrigger(),
        version,
        run: async (_payload, io) => {
          if (isOld) await io.runTask("step", () => 1);
          else if (version === "1.0.0") await io.wait("step", 1);
          else await bodies.enter(io);
          await io.wait("pause", 1);
        },
      });
    const first = world().client({ jobs: [jobIn("1.0.0")] });
    first.on("runBlocked", () => {});
    for (let n = 0; n < 3 * SLOTS; n++) await first.invoke("invoked", n);
    await first.drain();
    await first.stop({ timeout: 0 });
    isOld = false;
    world().clock.advance(1);
    const broken = world().client({ jobs: [jobIn("1.0.0")] });
    broken.on("runBlocked", () => {});
    await broken.drain();
    await broken.stop({ timeout: 0 });
    const repaired = world().client({ concurrency: SLOTS, jobs: [jobIn("1.0.1")] });
    await repaired.start();
    await until(() => bodies.done === 3 * SLOTS);
    expect(bodies.most).toBe(SLOTS);
  });

  test("D9, E6: so it is when many parked executions go on at a time because of something outside", async () => {
    const bodies = new Bodies();
    let ring = () => {};
    const bell = new Promise<void>((resolve) => {
      ring = resolve;
    });
    const job = defineJob({
      id: "invoked",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await Promise.race([io.wait("pause", 60), bell]);
        await io.runTask("work", async () => {
          bodies.active++;
          bodies.most = Math.max(bodies.most, bodies.active);
          await turns(3);
          bodies.active--;
          bodies.done++;
        });
      },
    });
    const client = world().client({ concurrency: SLOTS, jobs: [job] });
    await client.start();
    for (let n = 0; n < 3 * SLOTS; n++) await client.invoke(job, n);
    await until(async () => (await client.stats()).runs.WAITING === 3 * SLOTS);
    ring();
    await turns();
    // Kept or not, at the latest the wait brings them back.
    world().clock.advance(60);
    await until(() => bodies.done === 3 * SLOTS);
    expect(bodies.most).toBeLessThanOrEqual(SLOTS);
  });

  test("D9, E2: so it is if runs start directly while the answer to a claim is on its way", async () => {
    const bodies = new Bodies();
    const job = defineJob({
      id: "invoked",
      trigger: invokeTrigger(),
      run: async (_payload, io, context) => {
        expect(context.run.executionCount).toBe(1);
        await bodies.enter(io);
      },
    });
    const slow = slowClaims(world().storage());
    const client = world().client({ storage: slow.storage, concurrency: SLOTS, jobs: [job] });
    await client.start();
    await until(() => slow.answered > 0);
    await turns();
    slow.hold();
    const sender = world().client({ jobs: [job] });
    for (let n = 0; n < SLOTS; n++) await sender.invoke(job, n);
    await passingTime(
      world().clock,
      until(() => slow.isHolding),
    );
    await Promise.all(Array.from({ length: SLOTS }, (_, n) => client.invoke(job, n)));
    slow.letGo();
    await until(() => bodies.done === 2 * SLOTS);
    expect(bodies.most).toBe(SLOTS);
  });

  test("E11: with all slots taken, delayed events are delivered all the same", async () => {
    const busy = gate();
    let isBusy = false;
    const job = defineJob({
      id: "busy",
      trigger: invokeTrigger(),
      run: async (_, io) =>
        io.runTask("long", () => {
          isBusy = true;
          return busy.opened;
        }),
    });
    const client = world().client({ concurrency: 1, jobs: [job, hearer(new Bodies())] });
    await client.start();
    await client.invoke(job, {});
    await until(() => isBusy);
    await client.sendEvent({ name: "told", id: "e", payload: { n: 1 } }, { deliverAfter: 1 });
    world().clock.advance(1);
    await until(async () => (await client.getEvent("e"))?.runs.length === 1);
    expect((await client.getEvent("e"))?.runs[0]?.status).toBe("QUEUED");
    busy.open();
    await until(async () => (await client.getEvent("e"))?.runs[0]?.status === "COMPLETED");
  });
});

/** A storage whose answers to claims that took something can be held back. */
function slowClaims(storage: Storage) {
  const held = gate();
  let isSlow = false;
  const state = {
    answered: 0,
    isHolding: false,
    hold: () => {
      isSlow = true;
    },
    letGo: () => held.open(),
  };
  const claimRuns: Storage["claimRuns"] = async (request) => {
    const answer = await storage.claimRuns(request);
    if (isSlow && answer.runs.length > 0) {
      isSlow = false;
      state.isHolding = true;
      await held.opened;
    }
    state.answered++;
    return answer;
  };
  return {
    ...state,
    get answered() {
      return state.answered;
    },
    get isHolding() {
      return state.isHolding;
    },
    storage: new Proxy(storage, {
      get(target, name) {
        const value: unknown = name === "claimRuns" ? claimRuns : Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    }),
  };
}
