import { isFinal } from "../../core/run-status.js";
import { NEVER, type NewRun } from "../../core/storage.js";
import { DueIndex } from "./due.js";
import { Heap } from "./heap.js";
import { Hints } from "./hints.js";
import { Identities } from "./identity.js";
import { RunList, RunLists } from "./run-list.js";
import { type ClaimTicket, RunRow, type Timer } from "./run-row.js";
import { Slots, timerBefore } from "./slots.js";
import { TopicIndex } from "./topic-index.js";
import { Values } from "./values.js";

/** The lease that a run is created with. A slot of a limit is only had by a claim (S7). */
export function leaseOf(run: NewRun): NewRun["lease"] {
  return isFinal(run.status) || (run.limitKeys?.length ?? 0) > 0 ? undefined : run.lease;
}

/**
 * Everything that is stored, and the few changes of a run that touch more than
 * one table. Instances of the adapter that are given the same data share it, as
 * processes share a database.
 */
export class MemoryData {
  readonly identities = new Identities();
  readonly due = new DueIndex();
  readonly slots = new Slots();
  readonly deadlines = new Heap<Timer>(timerBefore);
  readonly topics = new TopicIndex();
  readonly values = new Values();
  readonly tickets = new Map<string, ClaimTicket>();
  readonly hints = new Hints();
  readonly runs = new RunList();
  readonly byJob = new RunLists();
  readonly byTag = new RunLists();
  readonly byEvent = new RunLists();
  readonly byParent = new RunLists();
  #created = 0;
  #now = 0;

  /** The store's clock: whatever the clocks of its instances say, it never goes back. */
  tick(wallTime: number): number {
    if (wallTime > this.#now) this.#now = wallTime;
    return this.#now;
  }

  insert(run: NewRun, createId: string | null, now: number): RunRow {
    this.#created += 1;
    const row = new RunRow(run, this.#created, createId, now);
    this.identities.add(row);
    this.runs.add(row);
    this.byJob.add(row.jobId, row);
    this.byEvent.add(row.eventId, row);
    this.byParent.add(row.parentId, row);
    for (const tag of row.tags) this.byTag.add(tag, row);
    const lease = leaseOf(run);
    if (lease === undefined) {
      this.setDeadline(row, row.deadlineAt);
      this.settleDue(row, now);
    } else {
      this.hold(row, lease.workerId, now, lease.leaseMs);
      this.due.place(row, now);
    }
    return row;
  }

  /** Starts a lease. The caller takes the run out of the due index before and places it afterwards. */
  hold(row: RunRow, workerId: string, now: number, leaseMs: number): void {
    row.epoch += 1;
    row.status = "EXECUTING";
    if (!row.keep) row.executionCount += 1;
    row.keep = false;
    row.workerId = workerId;
    row.leaseUntil = now + leaseMs;
    row.dueAt = row.leaseUntil;
    if (row.startedAt === null) {
      row.startedAt = now;
      this.setDeadline(row, row.maxDurationMs === null ? null : now + row.maxDurationMs);
    }
    this.slots.take(row);
  }

  /** Ends the lease, if there is one. */
  letGo(row: RunRow, now: number): void {
    row.keep = false;
    if (row.leaseUntil === null) return;
    row.leaseUntil = null;
    if (this.slots.free(row)) this.hints.send(now);
    if (row.ticket === null) return;
    row.ticket.held -= 1;
    const { claimId, held } = row.ticket;
    if (held === 0 && this.tickets.get(claimId) === row.ticket) this.tickets.delete(claimId);
    row.ticket = null;
  }

  /** Says by S8 when the run is due, and puts it where it belongs. The caller takes it out of the due index before it changes anything. */
  settleDue(row: RunRow, now: number): void {
    row.dueAt = this.#dueAt(row, now);
    this.due.place(row, now);
    if (row.leaseUntil === null && row.dueAt !== null && row.dueAt < NEVER)
      this.hints.send(row.dueAt);
  }

  setDeadline(row: RunRow, deadlineAt: number | null): void {
    row.deadlineAt = deadlineAt;
    if (row.deadline !== null) this.deadlines.remove(row.deadline);
    row.deadline = deadlineAt === null ? null : { heapIndex: -1, at: deadlineAt, row };
    if (row.deadline !== null) this.deadlines.push(row.deadline);
  }

  #dueAt(row: RunRow, now: number): number | null {
    if (isFinal(row.status)) return null;
    if (row.leaseUntil !== null) return row.leaseUntil;
    const called = row.wakeSignals > 0 && row.unread >= row.wakeSignals;
    return called ? Math.min(row.wakeAt, now) : row.wakeAt;
  }
}
