import { finalPatch } from "../core/final.js";
import type {
  ClaimedRun,
  NewSignal,
  RunPatch,
  RunRecord,
  RunWrite,
  WaitingTask,
} from "../core/storage.js";
import type { Engine } from "./engine.js";
import { deliveredRunId, storedEvent, topicsOf } from "./event-run.js";
import { createEvents } from "./fan-out.js";
import { endOfInternal } from "./purge.js";
import { tellOf } from "./send-events.js";

const PAGE = 500;

/** The topic by which an open wait hears that it should look for events again. */
export function waitSignalTopic(path: string): string {
  return `event:${path}`;
}

/** Tells every open wait that seeks this event to look for it; the event is over after that (contract E8). */
export async function deliverEvent(engine: Engine, { run }: ClaimedRun): Promise<void> {
  const event = storedEvent(run);
  const seeks = engine.matcher.of(event);
  await engine.patience.until(() => engine.paths.reload(event.name));
  const topics = await topicsOf(engine, event, engine.paths.paths(event.name) ?? []);
  let after: { readonly runId: string; readonly path: string } | undefined;
  let wasTold = false;
  for (;;) {
    const page = { limit: PAGE, ...(after === undefined ? undefined : { after }) };
    const waiting = await engine.patience.until(() => engine.rawStorage.listWaiting(topics, page));
    const signals: NewSignal[] = [];
    for (const wait of waiting) {
      if (await seeks(wait.task.filter ?? "{}")) signals.push(signalTo(wait, event.id));
    }
    const isLast = waiting.length < PAGE;
    wasTold ||= signals.length > 0;
    const write = signalsWrite(engine, run, signals, isLast ? { wasTold } : undefined);
    const answer = await engine.queue.submit(write);
    if (isLast || answer.result !== "ok") return;
    const last = waiting.at(-1);
    after = last === undefined ? undefined : { runId: last.runId, path: last.task.path };
  }
}

/** One for each wait and event, however often the event is delivered. */
function signalTo({ runId, task }: WaitingTask, eventId: string): NewSignal {
  const topic = waitSignalTopic(task.path);
  return { runId, id: `${topic} ${eventId}`, topic, ref: eventId };
}

function signalsWrite(
  engine: Engine,
  { id, epoch }: RunRecord,
  signals: readonly NewSignal[],
  end: { readonly wasTold: boolean } | undefined,
): RunWrite {
  const now = engine.storeClock.now();
  return {
    runId: id,
    writeId: engine.writeIds.next(),
    guard: { epoch },
    ...(signals.length === 0 ? undefined : { signals }),
    ...(end === undefined
      ? { leaseUntil: now + engine.leaseMs }
      : { run: { ...completed(now), finishedAt: endOfInternal(now, end.wasTold) } }),
  };
}

function completed(now: number): RunPatch {
  return finalPatch({ status: "COMPLETED" }, now);
}

/** The time of a delayed event has come. Made twice after a crash, it has the same id both times. */
export async function makeDelayed(engine: Engine, { run }: ClaimedRun): Promise<void> {
  const happening = { event: storedEvent(run), runId: deliveredRunId(run.eventId ?? "") };
  // Jobs that were registered meanwhile hear it, too.
  await engine.patience.until(() => engine.registry.refresh());
  const { fanOuts } = await createEvents(engine, [happening]);
  for (const fanOut of fanOuts) if (fanOut.isNew) await tellOf(engine, fanOut);
  await engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: completed(engine.storeClock.now()),
  });
}
