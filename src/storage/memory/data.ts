import { isFinal } from "../../core/run-status.js";
import { NEVER, type RunRecord } from "../../core/storage.js";
import type { StoredRun } from "../../core/stored-run.js";
import { DueIndex } from "./due.js";
import { Heap } from "./heap.js";
import { Hints } from "./hints.js";
import { Identities } from "./identity.js";
import { RunList, RunLists } from "./run-list.js";
import { RunRow, type Timer } from "./run-row.js";
import { Slots, timerBefore } from "./slots.js";
import { TopicIndex } from "./topic-index.js";
import { Values } from "./values.js";

/** Whether the run's place in the due index may be another one now. */
function hasMoved(last: RunRecord, next: RunRecord): boolean {
  return (
    last.dueAt !== next.dueAt ||
    last.priority !== next.priority ||
    last.limitKeys !== next.limitKeys ||
    last.stalls !== next.stalls ||
    last.startedAt !== next.startedAt ||
    last.finishedAt !== next.finishedAt
  );
}

/**
 * Everything that is stored. Instances of the adapter that are given the same
 * data share it, as processes share a database.
 */
export class MemoryData {
  readonly identities = new Identities();
  readonly due = new DueIndex();
  readonly slots = new Slots();
  readonly deadlines = new Heap<Timer>(timerBefore);
  readonly topics = new TopicIndex();
  readonly values = new Values();
  /** The runs that a claim took and that are held by it still, for its repetition. */
  readonly claims = new Map<string, Set<RunRow>>();
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

  /** `hasKey`: its idempotency key, if it has one, leads to it from now on. */
  insert(stored: StoredRun, now: number, hasKey = true): RunRow {
    this.#created += 1;
    const row = new RunRow(stored, this.#created);
    const { jobId, eventId, parentId, tags } = row.run;
    this.identities.add(row, hasKey);
    this.runs.add(row);
    this.byJob.add(jobId, row);
    this.byEvent.add(eventId, row);
    this.byParent.add(parentId, row);
    for (const tag of tags) this.byTag.add(tag, row);
    this.#setDeadline(row);
    this.due.place(row, now);
    this.#hint(row.run);
    return row;
  }

  /** Puts the next state of a run in the place of the last one, and brings every index up to date. */
  replace(row: RunRow, next: StoredRun, now: number): void {
    const last = row.stored;
    const { run } = next;
    const moves = hasMoved(last.run, run);
    const changesSlot =
      run.leaseUntil !== last.run.leaseUntil || run.limitKeys !== last.run.limitKeys;
    if (moves) this.due.remove(row);
    const hadSlot = changesSlot && this.slots.free(row);
    row.stored = next;
    row.run = run;
    if (changesSlot && (hadSlot || run.epoch !== last.run.epoch)) this.slots.take(row);
    if (hadSlot && run.leaseUntil === null) this.hints.send(now);
    if (run.tags !== last.run.tags) this.#moveTags(row, last.run.tags);
    if (run.deadlineAt !== last.run.deadlineAt) this.#setDeadline(row);
    if (isFinal(run.status) !== isFinal(last.run.status)) this.topics.follow(row);
    if (next.claim !== last.claim) this.#moveClaim(row, last.claim?.id);
    if (!moves) return;
    this.due.place(row, now);
    this.#hint(run);
  }

  #hint({ leaseUntil, dueAt }: RunRecord): void {
    if (leaseUntil === null && dueAt !== null && dueAt < NEVER) this.hints.send(dueAt);
  }

  #moveTags(row: RunRow, last: readonly string[]): void {
    for (const tag of last) this.byTag.remove(tag, row);
    for (const tag of row.run.tags) this.byTag.add(tag, row);
  }

  #moveClaim(row: RunRow, lastId: string | undefined): void {
    const last = this.claims.get(lastId ?? "");
    last?.delete(row);
    if (lastId !== undefined && last?.size === 0) this.claims.delete(lastId);
    const { claim } = row.stored;
    if (claim === null) return;
    const rows = this.claims.get(claim.id) ?? new Set();
    this.claims.set(claim.id, rows.add(row));
  }

  #setDeadline(row: RunRow): void {
    const { deadlineAt } = row.run;
    if (row.deadline !== null) this.deadlines.remove(row.deadline);
    row.deadline = deadlineAt === null ? null : { heapIndex: -1, at: deadlineAt, row };
    if (row.deadline !== null) this.deadlines.push(row.deadline);
  }
}
