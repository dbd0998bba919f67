import { StorageError } from "../../src/core/errors.js";
import type { RunWrite, Storage } from "../../src/core/storage.js";
import type { Faults, Plan } from "./faults.js";
import type { Machine } from "./machine.js";
import type { Schedule } from "./schedule.js";

/** Sees each call that reached the store, with its answer. */
export interface StoreWatcher {
  applied(
    method: string,
    args: readonly unknown[],
    answer: unknown,
    machine: Machine,
  ): Promise<void>;
  /** All that reached the store so far was seen. */
  caughtUp(): void;
}

type Apply = () => Promise<unknown>;

function isReject(end: PromiseSettledResult<unknown>): end is PromiseRejectedResult {
  return end.status === "rejected";
}

/** Between the machines and the store: every call is two events, its arrival and its answer. */
export class Network {
  readonly #schedule: Schedule;
  readonly #faults: Faults;
  readonly #watcher: StoreWatcher;
  /** Calls may be with the store at the same time; what came of them is looked at in the order in which they were made. */
  #looked: Promise<void> = Promise.resolve();
  #unseen = 0;

  constructor(schedule: Schedule, faults: Faults, watcher: StoreWatcher) {
    this.#schedule = schedule;
    this.#faults = faults;
    this.#watcher = watcher;
  }

  /** The store as one machine sees it. */
  connect(storage: Storage, machine: Machine, hasHints: boolean): Storage {
    return new Proxy(storage, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name === "subscribe") return hasHints ? this.#subscribe(target, machine) : undefined;
        const method = String(name);
        return (...args: unknown[]) => {
          const apply = () =>
            this.#inOrder(
              () => Reflect.apply(member, target, args),
              (answer) => this.#watcher.applied(method, args, answer, machine),
            );
          return this.#call(machine, method, isFencedCall(args[0]), apply);
        };
      },
    });
  }

  async #inOrder(call: Apply, look: (answer: unknown) => Promise<void>): Promise<unknown> {
    this.#unseen++;
    const before = this.#looked;
    const ending = Promise.allSettled([call()]);
    let seen = () => {};
    this.#looked = new Promise((resolve) => {
      seen = resolve;
    });
    await before;
    const [end] = await ending;
    try {
      if (isReject(end)) throw end.reason;
      await look(end.value);
      return end.value;
    } finally {
      if (--this.#unseen === 0) this.#watcher.caughtUp();
      seen();
    }
  }

  #subscribe(storage: Storage, machine: Machine): Storage["subscribe"] {
    return (onHint) => {
      const hint = (dueAt?: number) => {
        if (machine.isDead || this.#faults.losesHint()) return;
        this.#schedule.post(`hint to ${machine.index}`, machine, () => onHint(dueAt));
      };
      return storage.subscribe?.(hint) ?? Promise.resolve(async () => {});
    };
  }

  #call(machine: Machine, method: string, isFenced: boolean, apply: Apply): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (machine.isDead) return;
      const plan = this.#faults.plan(method, isFenced);
      const label = `${machine.index} ${method} ${plan.fate}`;
      const answer = { resolve, reject, sentAt: this.#schedule.now };
      this.#schedule.post(
        label,
        undefined,
        () => this.#arrive(machine, method, plan, apply, answer),
        plan.requestMs,
      );
    });
  }

  #arrive(machine: Machine, method: string, plan: Plan, apply: Apply, answer: Answer): void {
    if (plan.fate === "crash-before") {
      machine.crash();
      return;
    }
    if (plan.fate === "pause-before") machine.pause(plan.pauseMs);
    if (plan.fate === "error" || plan.fate === "late") {
      this.#refuse(machine, method, answer);
      // The first try was only slow: it arrives after its sender gave it up.
      if (plan.fate === "late") {
        this.#schedule.post(`${machine.index} ${method} at last`, undefined, () => ignore(apply()));
      }
      return;
    }
    if (plan.fate === "duplicate") {
      this.#schedule.post(`${machine.index} ${method} again`, undefined, () => ignore(apply()));
    }
    apply().then(
      (value) => {
        if (plan.fate === "crash-after") machine.crash();
        if (plan.fate === "pause-after") machine.pause(plan.pauseMs);
        if (plan.fate === "lost-answer") this.#refuse(machine, method, answer);
        else this.#answer(machine, method, plan, answer, () => answer.resolve(value));
      },
      (error) => this.#answer(machine, method, plan, answer, () => answer.reject(error)),
    );
  }

  #refuse(machine: Machine, method: string, answer: Answer): void {
    const error = new StorageError("STORAGE_FAILED", `simulated: ${method} failed`);
    this.#schedule.post(`${machine.index} ${method} fails`, machine, () => answer.reject(error));
  }

  #answer(
    machine: Machine,
    method: string,
    { answerMs }: Plan,
    { sentAt }: Answer,
    settle: () => void,
  ): void {
    this.#schedule.post(
      `${machine.index} ${method} answered`,
      machine,
      () => {
        const tookMs = this.#schedule.now - sentAt;
        machine.longestAnswer = Math.max(machine.longestAnswer, tookMs);
        if (tookMs > 1_000) machine.disturb();
        settle();
      },
      answerMs,
    );
  }
}

interface Answer {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly sentAt: number;
}

/** What an outsider writes has no epoch that would keep it from coming too late. */
function isFencedCall(first: unknown): boolean {
  const isOutsiders = (write: Partial<RunWrite>) =>
    write.guard !== undefined && write.guard.epoch === undefined;
  return !Array.isArray(first) || !first.some(isOutsiders);
}

/** Nobody waits for this answer any more. */
function ignore(answer: Promise<unknown>): void {
  answer.catch(() => {});
}
