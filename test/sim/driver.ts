import { isPawlError } from "../../src/core/errors.js";
import { isInternal } from "../../src/core/final.js";
import { isFinal } from "../../src/core/run-status.js";
import { TOKEN_JOB } from "../../src/engine/tokens.js";
import type { Client } from "../../src/index.js";
import { BURST } from "./jobs.js";
import { LinkedDriver } from "./linked-driver.js";
import type { Machine } from "./machine.js";
import type { Outside } from "./outside.js";
import { flowJobs, type ProgramJob, ProgramMaker, SHARED } from "./program.js";
import type { Random } from "./random.js";
import { TickingDriver } from "./ticking-driver.js";
import type { World } from "./world.js";

/** People and systems outside: they start, cancel and retry runs, send events and stop processes. */
export class Driver {
  readonly #world: World;
  readonly #random: Random;
  readonly #programs: ProgramMaker;
  readonly ticking: TickingDriver;
  readonly #linked: LinkedDriver | undefined;
  /** Runs and events whose creation was acknowledged. */
  readonly acknowledged = new Set<string>();
  readonly canceled = new Set<string>();
  #left = 0;
  /** Somebody retries what fails as soon as it does. */
  #retries = 0;

  constructor(world: World, random: Random, programs: Random) {
    this.#world = world;
    this.#random = random;
    this.#programs = new ProgramMaker(programs, world.ticking !== undefined);
    const outside = this.#outside(random);
    this.ticking = new TickingDriver(outside);
    this.#linked =
      world.service && new LinkedDriver(outside, world.service, () => this.#programs.small());
    world.monitor.onEnd = (runId, status) => this.#ended(runId, status);
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  /** Plans everything that comes from outside; `withinMs` of virtual time. */
  plan(withinMs: number): void {
    const random = this.#random;
    const at = () => (random.chance(0.5) ? random.int(2_000) : random.int(withinMs));
    const times = (count: number, act: () => Promise<void>) => {
      for (let index = 0; index < count; index++) this.#later(at(), act);
    };
    times(random.between(2, 6), this.#invokeOne());
    times(random.between(0, 2), () => this.#sendEvent());
    times(random.int(3), () => this.#cancelOne());
    times(random.int(4), () => this.#retryOne());
    this.#retries = random.int(4);
    times(random.int(2), () => this.#stopOne());
    times(random.int(3), () => this.#makeToken());
    times(random.int(6), () => this.#completeOne());
    if (random.chance(0.4)) times(random.between(2, 6), this.#invokeUnderRule());
    if (random.chance(0.3)) times(random.between(2, 5), () => this.#burst());
    if (random.chance(0.1)) this.#later(at(), () => this.#poison());
    times(random.chance(0.3) ? 2 : 0, () => this.#invokeShared());
    if (this.#world.ticking !== undefined) this.ticking.plan();
    this.#linked?.plan();
  }

  #outside(random: Random): Outside {
    return {
      world: this.#world,
      random,
      isAlone: () => this.#left === 1,
      later: (delayMs, act) => this.#later(delayMs, act),
      pause: (ms) => this.#pause(ms),
      ask: (what, request) => this.#ask(what, request),
    };
  }

  #later(delayMs: number, act: () => Promise<unknown>): void {
    this.#left++;
    this.#world.schedule.timer(delayMs, undefined, () => {
      act().then(
        () => void this.#left--,
        (error) => this.#world.report(error),
      );
    });
  }

  /** Asks one process after the other until one answers: a request may get lost with its process. */
  async #ask<T>(
    what: string,
    request: (client: Client, machine: Machine) => Promise<T>,
  ): Promise<T> {
    const { schedule } = this.#world;
    for (;;) {
      const alive = this.#world.alive;
      if (alive.length === 0 || !this.#world.isReady) {
        await this.#pause(1_000);
        continue;
      }
      const machine = this.#random.pick(alive);
      schedule.note(`outside: ${what} through ${machine.index}`);
      this.#world.faults.count(`outside: ${what.split(" ")[0]}`);
      const answer = await this.#answerOf(machine, request);
      if (answer !== undefined) return answer.value;
      await this.#pause(500);
    }
  }

  async #answerOf<T>(
    machine: Machine,
    request: (client: Client, machine: Machine) => Promise<T>,
  ): Promise<{ readonly value: T } | undefined> {
    const { client } = machine;
    if (client === undefined) return undefined;
    const patience = this.#pause(60_000).then(() => undefined);
    try {
      return await Promise.race([request(client, machine).then((value) => ({ value })), patience]);
    } catch (error) {
      const isTransient =
        isPawlError(error, "STORAGE_FAILED") ||
        isPawlError(error, "STORAGE_CLOSED") ||
        isPawlError(error, "CLIENT_STOPPED") ||
        isPawlError(error, "JOB_UNKNOWN");
      if (isTransient) return undefined;
      throw error;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.schedule.timer(ms, undefined, resolve));
  }

  #invokeOne(): () => Promise<void> {
    return () => {
      const job = this.#random.weighted<ProgramJob>({
        plain: 5,
        limited: 2,
        lanes: 2,
        pooled: 2,
        brief: 1,
      });
      return this.#invoke(job, this.#programs.program());
    };
  }

  async #invoke(
    job: string,
    program: ReturnType<ProgramMaker["program"]>,
    key = program.id,
  ): Promise<void> {
    const options = {
      idempotencyKey: key,
      ...(this.#random.chance(0.2) ? { delay: { milliseconds: 2_500 } } : undefined),
      ...(this.#random.chance(0.3) ? { priority: this.#random.int(3) } : undefined),
    };
    this.#world.schedule.log?.push(`program ${job} ${JSON.stringify(program)}`);
    const { id } = await this.#ask(`invoke ${program.id}`, (client) =>
      client.invoke(job, { program }, options),
    );
    this.acknowledged.add(id);
  }

  /** Several of one job, so that its rule has something to do. */
  #invokeUnderRule(): () => Promise<void> {
    const job = this.#random.pick(flowJobs);
    return async () => {
      const program = this.#programs.small();
      await this.#ask(`start ${program.id}`, async (client) => {
        try {
          await client.invoke(job, { program }, { idempotencyKey: program.id });
        } catch (error) {
          const isDropped = isPawlError(error, "RATE_LIMITED") || isPawlError(error, "RUN_SKIPPED");
          if (!isDropped) throw error;
        }
      });
    };
  }

  async #burst(): Promise<void> {
    const program = this.#programs.small();
    const event = { name: BURST, id: program.id, payload: { program } };
    await this.#ask(`burst ${program.id}`, (client) => client.sendEvent(event));
  }

  async #makeToken(): Promise<void> {
    const timeout = { milliseconds: this.#random.pick([3_000, 30_000]) };
    const { id } = await this.#ask("token", (client) => client.createToken({ timeout }));
    this.#world.ledger.tokens.push(id);
  }

  async #completeOne(): Promise<void> {
    const tokens = [...this.#world.view.runs()].filter(
      ({ jobId, status }) => jobId === TOKEN_JOB && !isFinal(status),
    );
    if (tokens.length === 0) return;
    const { id } = this.#random.pick(tokens);
    const answer = `answer ${this.#random.int(1_000)}`;
    await this.#ask(`complete ${id}`, (client) => client.completeToken(id, answer));
  }

  #invokeShared(): Promise<void> {
    return this.#invoke("plain", SHARED, `shared-${this.#random.int(2)}`);
  }

  #poison(): Promise<void> {
    return this.#invoke("poisoned", this.#programs.poison());
  }

  async #sendEvent(): Promise<void> {
    const program = this.#programs.small();
    const event = { name: "ev", id: program.id, payload: { program } };
    const { runIds } = await this.#ask(`send ${program.id}`, (client) => client.sendEvent(event));
    for (const id of runIds) this.acknowledged.add(id);
  }

  #someRun(isWanted: (status: string) => boolean): string | undefined {
    const runs = [...this.#world.view.runs()].filter(
      ({ jobId, status }) => !isInternal(jobId) && isWanted(status),
    );
    return runs.length === 0 ? undefined : this.#random.pick(runs).id;
  }

  async #cancelOne(): Promise<void> {
    const id = this.#someRun((status) => !isFinal(status as never));
    if (id === undefined) return;
    this.canceled.add(id);
    await this.#ask(`cancel ${id}`, (client) => client.cancelRun(id));
    const status = this.#world.view.run(id)?.status ?? "PENDING";
    if (!isFinal(status) && this.#world.view.run(id)?.generation === 1) {
      throw new Error(`G23: run ${id} is ${status} after its cancel was answered`);
    }
  }

  #ended(runId: string, status: string): void {
    const { jobId = "$" } = this.#world.view.run(runId) ?? {};
    if (status !== "FAILED" || isInternal(jobId) || this.#retries === 0) return;
    if (this.#random.chance(0.5)) return;
    this.#retries--;
    this.#later(0, () => this.#retry(runId));
  }

  async #retryOne(): Promise<void> {
    const id = this.#someRun((status) => status === "FAILED" || status === "CANCELED");
    if (id !== undefined) await this.#retry(id);
  }

  async #retry(id: string): Promise<void> {
    await this.#ask(`retry ${id}`, async (client) => {
      try {
        await client.retryRun(id);
      } catch (error) {
        // Somebody else, or an earlier try, was faster.
        if (!isPawlError(error, "RUN_NOT_FINAL")) throw error;
      }
    });
  }

  async #stopOne(): Promise<void> {
    const { alive } = this.#world;
    if (alive.length < 2) return;
    const machine = this.#random.pick(alive);
    this.#world.faults.count("outside: stop");
    const stopped = this.#world.stop(machine, this.#random.pick([0, 5_000]));
    await Promise.race([stopped, this.#pause(120_000)]);
    machine.crash();
  }
}
