import type { Engine } from "./engine.js";
import type { ScheduleState } from "./schedule-state.js";

/** A schedule whose next tick comes later than this is left to whoever claims it then. */
const KEPT_WITHIN_MS = 10_000;
const MOST_KEPT = 5_000;
/** Ticks that come close to each other are one commit; a lonely one waits for nothing. */
const LEAST_PAUSE_MS = 20;
/** Of the lease: so much later the store lets others have a tick whose keeper is gone. */
const GRACE_PART = 30;

/** A schedule as its last write left it. */
export interface KeptSchedule {
  readonly id: string;
  readonly epoch: number;
  readonly state: ScheduleState;
}

/** The worker, as its kept schedules see it. */
export interface ScheduleKeeper {
  /** Registrations are up to date when it is called. */
  tick(schedule: KeptSchedule): Promise<void>;
  /** It does not come to rest, and does not stop, before this is done. */
  meanwhile(work: () => Promise<void>): Promise<void>;
}

/**
 * Schedules that tick often. The worker that ticked one ticks it again, without
 * a claim: nobody else has changed it if its epoch is still the one that the
 * last tick left. In the store it is due a little after the tick, for another
 * worker to claim if this one is gone.
 */
export class KeptSchedules {
  readonly #engine: Engine;
  readonly #kept = new Map<string, KeptSchedule>();
  #keeper: ScheduleKeeper | undefined;
  #disarm: (() => void) | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #tickedAt = Number.NEGATIVE_INFINITY;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** From now on it keeps some; a worker that only drains has no timers to tick them with. */
  start(keeper: ScheduleKeeper): void {
    this.#keeper = keeper;
  }

  /** What it kept is due for others at once, when its tick comes. */
  stop(): void {
    const keeper = this.#keeper;
    this.#keeper = undefined;
    this.#disarm?.();
    this.#disarm = undefined;
    for (const schedule of this.#kept.values()) {
      void keeper?.meanwhile(() => this.#giveBack(schedule));
    }
    this.#kept.clear();
  }

  /** When a schedule is due in the store that ticks next at this instant. */
  dueAt(next: number | null): number | null {
    return next === null || !this.#keeps(next)
      ? next
      : next + Math.ceil(this.#engine.leaseMs / GRACE_PART);
  }

  /** Remembers a schedule that was written with `dueAt`. */
  async keep(schedule: KeptSchedule, dueAt: number | null): Promise<void> {
    const { next } = schedule.state;
    if (next === null || dueAt === next) return;
    if (this.#keeper === undefined) {
      // Stopped while it was being written.
      await this.#giveBack(schedule);
      return;
    }
    this.#kept.set(schedule.id, schedule);
    this.#arm(next);
  }

  #keeps(next: number): boolean {
    return (
      this.#keeper !== undefined &&
      this.#kept.size < MOST_KEPT &&
      next - this.#engine.storeClock.now() <= KEPT_WITHIN_MS
    );
  }

  #arm(next: number): void {
    if (next >= this.#armedFor && this.#disarm !== undefined) return;
    this.#disarm?.();
    this.#armedFor = next;
    const { clock, storeClock } = this.#engine;
    const pauseMs = this.#tickedAt + LEAST_PAUSE_MS - clock.monotonic();
    this.#disarm = clock.setTimer(Math.max(0, next - storeClock.now(), pauseMs), () => {
      this.#disarm = undefined;
      this.#tickDue();
    });
  }

  #tickDue(): void {
    const { clock, storeClock } = this.#engine;
    const now = storeClock.now();
    this.#tickedAt = clock.monotonic();
    const due: KeptSchedule[] = [];
    let following = Number.POSITIVE_INFINITY;
    for (const schedule of this.#kept.values()) {
      const next = schedule.state.next ?? Number.POSITIVE_INFINITY;
      if (next <= now) due.push(schedule);
      else following = Math.min(following, next);
    }
    for (const { id } of due) this.#kept.delete(id);
    if (following < Number.POSITIVE_INFINITY) this.#arm(following);
    const keeper = this.#keeper;
    if (due.length > 0) void keeper?.meanwhile(() => this.#tickAll(keeper, due));
  }

  async #tickAll(keeper: ScheduleKeeper, due: readonly KeptSchedule[]): Promise<void> {
    const { patience, registry, onTrouble } = this.#engine;
    await patience.until(() => registry.refresh());
    // One that cannot be written takes no other with it; somebody claims it when it is due.
    await Promise.all(due.map((schedule) => keeper.tick(schedule).catch(onTrouble)));
  }

  async #giveBack({ id, epoch, state }: KeptSchedule): Promise<void> {
    await this.#engine.queue.submit({
      runId: id,
      writeId: this.#engine.writeIds.next(),
      guard: { epoch },
      release: { wakeAt: state.next, wakeSignals: 0 },
    });
  }
}
