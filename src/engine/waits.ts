import type { RunRecord } from "../core/storage.js";
import type { Execution } from "./execution.js";
import { afterMicrotasks } from "./macrotask.js";
import type { Op, Waiting } from "./op.js";

const NO_TIME = Number.POSITIVE_INFINITY;

/** What the open operations of one execution wait for: one timer serves all instants. */
export class Waits {
  readonly #execution: Execution;
  #disarmTimer: (() => void) | undefined;
  #timerAt = NO_TIME;
  /** The inbox is being read for waits that are due: they are not fired a second time meanwhile. */
  #isLooking = false;
  /** Reads under way that may end a wait without a signal. */
  #looks: Set<Promise<void>> | undefined;

  constructor(execution: Execution) {
    this.#execution = execution;
  }

  /** The operation is not busy: it goes on by time or by signal. */
  add(op: Op, waiting: Waiting): void {
    const execution = this.#execution;
    if (!execution.isLive || op.scope.isClosed) return;
    op.waiting = waiting;
    if (waiting.wakeAt !== undefined) this.#arm(waiting.wakeAt);
    const signal = waiting.topic === undefined ? undefined : execution.inbox.take(waiting.topic);
    if (signal !== undefined) {
      op.waiting = undefined;
      waiting.onSignal?.(signal);
    } else {
      afterMicrotasks(() => execution.checkIdle());
    }
  }

  /**
   * For a wait that was recorded before this execution: a replay that parked
   * before it came by here took the signal for one that nobody waits for.
   * Reads what is waited for once, unless its signal is there.
   */
  lookAgain(op: Op, targetId: string, seen: (target: RunRecord | undefined) => void): void {
    const { waiting } = op;
    if (waiting === undefined) return;
    const { engine } = this.#execution;
    const look = this.#execution.hold(async () => {
      const target = await engine.reader.read(targetId);
      if (op.waiting === waiting) seen(target);
    });
    this.#looks ??= new Set();
    this.#looks.add(look);
    void look.finally(() => this.#looks?.delete(look));
  }

  /** After a pause: what arrived or became due meanwhile goes on, the rest waits again. */
  resume(): void {
    this.deliver();
    this.#fireDue();
    this.#armEarliest();
  }

  /**
   * A run that parked now would come back at once. What was fired a moment ago may have met
   * the next that is overdue, such as a retry inside of a retry: it would come back for ever.
   */
  get areOverdue(): boolean {
    return this.#timerAt <= this.#execution.engine.storeClock.now();
  }

  /**
   * Fires what was overdue when it was met, as after a replay. Called once all
   * that is recorded has settled and all calls of this turn are made, so that
   * the earliest instant goes first, as in a kept frame, and not the first
   * call; and before a park, which would only be claimed again.
   */
  fireOverdue(): void {
    if (!this.areOverdue) return;
    this.stop();
    this.#fireDue();
    this.#armEarliest();
  }

  /** Hands the unread signals to the operations that wait for their topics. */
  deliver(): void {
    const { inbox, ops } = this.#execution;
    if (inbox.isEmpty) return;
    for (const op of [...ops.values()]) {
      const waiting = op.waiting;
      const signal = waiting?.topic === undefined ? undefined : inbox.take(waiting.topic);
      if (signal === undefined) continue;
      op.waiting = undefined;
      waiting?.onSignal?.(signal);
    }
  }

  /** Reads what came in since the last look. */
  async readInbox(answered = 0): Promise<void> {
    const { engine, runId, inbox } = this.#execution;
    const signals = await engine.storage.listSignals(runId);
    if (!this.#execution.isLive) return;
    inbox.merge(signals, answered);
    this.deliver();
  }

  /** Fires what is due by the store's time, in the order of the due instants. */
  #fireDue(): void {
    if (this.#isLooking) return;
    const execution = this.#execution;
    const now = execution.engine.storeClock.now();
    const due = [...execution.ops.values()].filter((op) => dueAt(op) <= now);
    if (due.length === 0) return;
    due.sort((a, b) => dueAt(a) - dueAt(b));
    const mayBeFulfilled = due.some((op) => op.waiting?.topic !== undefined);
    if (!mayBeFulfilled) {
      for (const op of due) this.#fire(op, now);
      return;
    }
    // A fulfilment that is there already wins over the timeout.
    this.#isLooking = true;
    void execution.hold(async () => {
      try {
        await Promise.all([this.readInbox(), ...(this.#looks ?? [])]);
      } finally {
        this.#isLooking = false;
      }
      for (const op of due) this.#fire(op, now);
      this.#armEarliest();
    });
  }

  #fire(op: Op, now: number): void {
    const waiting = op.waiting;
    if (waiting === undefined || dueAt(op) > now || !this.#execution.isLive) return;
    op.waiting = undefined;
    waiting.onDue?.(now);
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return;
    this.stop();
    this.#timerAt = at;
    const { clock, storeClock } = this.#execution.engine;
    this.#disarmTimer = clock.setTimer(Math.max(0, at - storeClock.now()), () => {
      this.stop();
      if (this.#execution.phase !== "running") return;
      this.#fireDue();
      this.#armEarliest();
    });
  }

  #armEarliest(): void {
    if (this.#isLooking || this.#execution.phase !== "running") return;
    for (const op of this.#execution.ops.values()) {
      if (op.waiting?.wakeAt !== undefined) this.#arm(op.waiting.wakeAt);
    }
  }

  stop(): void {
    this.#disarmTimer?.();
    this.#disarmTimer = undefined;
    this.#timerAt = NO_TIME;
  }
}

function dueAt(op: Op): number {
  return op.waiting?.wakeAt ?? NO_TIME;
}
