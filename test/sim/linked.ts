import { decodeMeta } from "../../src/engine/run-meta.js";
import {
  type AnyJob,
  type AuthResolver,
  type Context,
  defineJob,
  type Integration,
  type Io,
  invokeTrigger,
  notConnected,
} from "../../src/index.js";
import type { Machine } from "./machine.js";
import type { Random } from "./random.js";
import type { StoreView } from "./store-view.js";
import { Violation } from "./violation.js";

/** The job whose runs need the credentials of an account. */
export const LINKED = "linked";
export const accounts = ["ada", "bob"] as const;
export type Account = (typeof accounts)[number];

/** Well over what a run takes that was woken, well below the time after which it is asked again. */
const WOKEN_WITHIN_MS = 200_000;

interface Refusal {
  readonly machine: Machine;
  readonly at: number;
}

/** A service that accounts connect to, outside of the library, and who was given credentials. */
export class Service {
  readonly #random: Random;
  readonly #now: () => number;
  readonly #connected = new Map<string, number>();
  /** When `connectionReady` had answered. */
  readonly #readyAt = new Map<string, number>();
  readonly #given = new Set<string>();
  readonly #refused = new Map<string, Refusal>();
  #tokens = 0;

  constructor(random: Random, now: () => number) {
    this.#random = random;
    this.#now = now;
  }

  connect(account: Account): void {
    this.#connected.set(account, ++this.#tokens);
  }

  disconnect(account: Account): void {
    this.#connected.delete(account);
    this.#readyAt.delete(account);
  }

  isReady(account: Account): void {
    if (this.#connected.has(account)) this.#readyAt.set(account, this.#now());
  }

  resolverOf(machine: Machine, report: (violation: unknown) => void): AuthResolver {
    return async ({ run, account }) => {
      const id = account?.id ?? "";
      this.#judgeWait(run.id, id, report);
      // Longer than a lease: an execution that looks for credentials is one like others.
      const [before, after] = [
        this.#random.pick([0, 0, 2_000]),
        this.#random.pick([0, 3_000, 12_000]),
      ];
      if (before > 0) await machine.sleep(before);
      const token = this.#connected.get(id);
      if (after > 0) await machine.sleep(after);
      if (token === undefined) return this.#refuse(run.id, machine);
      this.#given.add(`${run.id} ${machine.index} ${id}-${token}`);
      return { type: "oauth2", accessToken: `${id}-${token}` };
    };
  }

  #refuse(runId: string, machine: Machine): typeof notConnected {
    machine.note(`does not connect ${runId}`);
    this.#refused.set(runId, { machine, at: this.#now() });
    if (this.#random.chance(0.3)) throw notConnected;
    return notConnected;
  }

  /** Only a process that died may leave a run to be asked again much later. */
  #judgeWait(runId: string, account: string, report: (violation: unknown) => void): void {
    const refusal = this.#refused.get(runId);
    const readyAt = this.#readyAt.get(account);
    this.#refused.delete(runId);
    if (refusal === undefined || readyAt === undefined) return;
    const waitedMs = this.#now() - Math.max(refusal.at, readyAt);
    const isExcused = refusal.machine.disturbedAt.some((at) => at >= refusal.at);
    if (waitedMs > WOKEN_WITHIN_MS && !isExcused)
      report(new Violation("CONNECTION", `run ${runId} waited ${waitedMs} ms for what was ready`));
  }

  /** What `run` has must be what the resolver gave to this run in this process. */
  startProblem(
    { run, account }: Context,
    token: string | undefined,
    machine: Machine,
  ): Violation | undefined {
    const isGiven = this.#given.has(`${run.id} ${machine.index} ${token}`);
    if (isGiven && token?.startsWith(`${account?.id}-`) === true) return undefined;
    return new Violation("CONNECTION", `run ${run.id} of ${account?.id} started with ${token}`);
  }
}

/** Tells what its calls would be made with. */
export const integration: Integration<{ readonly token: string | undefined }> = {
  id: "service",
  metadata: { id: "service", name: "Service" },
  authSource: "HOSTED",
  cloneForRun: (_io, _key, auth) => ({ token: auth?.accessToken }),
};

export function linkedJob(
  machine: Machine,
  service: Service,
  run: (payload: unknown, io: Io, context: Context) => unknown,
  report: (violation: unknown) => void,
): AnyJob {
  return defineJob({
    id: LINKED,
    trigger: invokeTrigger(),
    maxExecutionsWithoutProgress: 10_000,
    integrations: { service: integration },
    run: (payload, io, context) => {
      const problem = service.startProblem(context, io.service.token, machine);
      if (problem !== undefined) report(problem);
      return run(payload, io, context);
    },
  });
}

/** Runs that wait for this account's connection, by what they were when they were looked at. */
export function waitingFor(view: StoreView, account: Account): ReadonlyMap<string, number> {
  const waiting = [...view.runs()].filter(
    ({ status, meta }) =>
      status === "WAITING_ON_CONNECTIONS" && decodeMeta(meta).accountId === account,
  );
  return new Map(waiting.map(({ id, epoch }) => [id, epoch]));
}
