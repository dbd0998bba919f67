import { isFinal } from "../../core/run-status.js";
import type { RunWrite, Signal, WatchRef } from "../../core/storage.js";
import { WATCH_TOPIC } from "../../core/storage.js";
import type { MemoryData } from "./data.js";
import type { RunRow } from "./run-row.js";

/** What a write does to other runs (S10): at once, since they are all at hand. */
export function applyEffects(data: MemoryData, row: RunRow, write: RunWrite, now: number): void {
  for (const run of write.runs ?? [])
    if (data.identities.holder(run, now) === undefined) data.insert(run, null, now);
  for (const { runId, ...signal } of write.signals ?? []) {
    const target = data.identities.run(runId);
    if (target !== undefined) receive(data, target, signal, now);
  }
  for (const watch of write.watches ?? []) {
    const target = data.identities.run(watch.targetId);
    if (target === undefined || isFinal(target.status)) {
      const { signalId, topic, targetId } = watch;
      receive(data, row, { id: signalId, topic, ref: targetId }, now);
      continue;
    }
    const { signalId, topic } = watch;
    const ref: WatchRef = { watcherId: row.id, signalId, topic };
    const id = `${row.id} ${signalId}`;
    target.addSignal({ id, topic: WATCH_TOPIC, ref: JSON.stringify(ref) });
  }
}

function receive(data: MemoryData, target: RunRow, signal: Signal, now: number): void {
  if (!target.addSignal(signal) || isFinal(target.status) || target.leaseUntil !== null) return;
  if (target.dueAt !== null && target.dueAt <= now) return;
  data.due.remove(target);
  data.settleDue(target, now);
}
