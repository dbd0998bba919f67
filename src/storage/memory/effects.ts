import { Inbox } from "../../core/run-tables.js";
import type { NewSignal, RunWrite } from "../../core/storage.js";
import { signalOfWatch } from "../../core/stored-data.js";
import { afterSignal, newStoredRun } from "../../core/stored-run.js";
import type { MemoryData } from "./data.js";

/** What a write does to other runs (S10): at once, since they are all at hand. */
export function applyEffects(data: MemoryData, write: RunWrite, now: number): void {
  for (const run of write.runs ?? [])
    if (data.identities.holder(run, now) === undefined)
      data.insert(newStoredRun(run, null, now), now);
  for (const signal of write.signals ?? []) send(data, signal, now);
  for (const watch of write.watches ?? []) {
    const target = data.identities.run(watch.targetId)?.run;
    send(data, signalOfWatch(write.runId, watch, target), now);
  }
}

function send(data: MemoryData, { runId, ...signal }: NewSignal, now: number): void {
  const row = data.identities.run(runId);
  if (row === undefined) return;
  row.inbox ??= new Inbox();
  if (row.inbox.add(signal)) data.replace(row, afterSignal(row.stored, signal.topic, now), now);
}
