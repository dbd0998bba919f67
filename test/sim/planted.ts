import type { Edit } from "./bundle.js";

export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly Edit[];
}

function bug(name: string, ...edits: readonly (readonly [string, string, string])[]): PlantedBug {
  return {
    name,
    edits: edits.map(([file, find, replace]) => ({ file: `src/${file}`, find, replace })),
  };
}

const EPOCH_CHECK = 'if (guard.epoch !== undefined && guard.epoch !== run.epoch) return "fenced";';

/** The runs of a tick in a commit of their own. */
const CREATE_RUNS =
  "const [first, ...further] = after?.runs ?? []; if (first !== undefined) await engine.queue.create({ createId: engine.writeIds.next(), groups: [{ first, further }] });";

/** Bugs that queues and workflow engines really had, and breaches of the engine's rules. */
export const plantedBugs: readonly PlantedBug[] = [
  bug("S2: the store ignores the epoch of a guard", ["core/write-verdict.ts", EPOCH_CHECK, ""]),
  bug("S6: the store claims what another worker just read as due", [
    "core/stored-run.ts",
    "dueAt: leaseUntil,",
    "dueAt: now,",
  ]),
  bug("S7: the store does not count the slots of a limit", [
    "storage/memory/slots.ts",
    "return limitKeys.every((key) => (this.#used.get(key) ?? 0) < slotsOf(key, limits));",
    "return true;",
  ]),
  bug("S8: a park does not look at unread signals", [
    "core/stored-run.ts",
    "run.dueAt = dueAtOf(run, next, now);",
    "run.dueAt = dueAtOf(run, release === undefined ? next : { ...next, unread: 0 }, now);",
  ]),
  bug("S9: a watch on a run that is over is not answered", [
    "core/stored-data.ts",
    "if (target === undefined || isFinal(target.status))",
    "if (target === undefined)",
  ]),
  bug("S12: an idempotency key is not looked up", [
    "storage/memory/identity.ts",
    "const key = keyName(run);\n    const holderId",
    "const key = null as string | null;\n    const holderId",
  ]),
  bug("E10: stalls are never counted", [
    "core/stored-run.ts",
    "stalls: highestSeq > run.lastSeq ? 0 : run.stalls + 1,",
    "stalls: 0,",
  ]),
  bug("E10: executionCount is never raised", [
    "core/stored-run.ts",
    "executionCount: run.executionCount + (taking.kept ? 0 : 1),",
    "",
  ]),
  bug("E4: a wait goes on before it is recorded though others are open", [
    "engine/io/wait.ts",
    "const isAlone = execution.ops.size === 1 && execution.settlement.isQuiet;",
    "const isAlone = true;",
  ]),
  bug("E4: a wait goes on before its instant is recorded", [
    "engine/io/wait.ts",
    "if (isAlone && isWaiting(op.record))",
    "if (isAlone)",
  ]),
  bug(
    "E3: the first execution gets the live object, not what was stored",
    [
      "engine/task-run.ts",
      "text = this.#encode(value);",
      "liveValues.set(this.#op.runId + this.#op.path, value);\n      text = this.#encode(value);",
    ],
    [
      "engine/task-run.ts",
      "/** One task in one execution",
      "export const liveValues = ((globalThis as unknown as { live?: Map<string, unknown> }).live ??= new Map<string, unknown>());\n/** One task in one execution",
    ],
    [
      "engine/op.ts",
      "value = this.#decode(record);",
      "value = this.#decode(record);\n      const live = (globalThis as unknown as { live?: Map<string, unknown> }).live;\n      if (this.kind === 'task' && live?.has(this.runId + this.path)) value = live.get(this.runId + this.path);",
    ],
  ),
  bug("E3: a task settles before its record is committed", [
    "engine/execution-writer.ts",
    'if (onDurable === "settle") this.pending.settles.push(op);',
    'if (onDurable === "settle") this.#execution.settlement.addLive(op);',
  ]),
  bug("E3: a record on its way counts as a record", [
    "engine/execution-writer.ts",
    "return this.#writeWith(record) === undefined;",
    "return true;",
  ]),
  bug("E3: a callback starts although the lease has run out", [
    "engine/lease.ts",
    "return this.#engine.clock.monotonic() - this.#since >= this.#engine.leaseMs;",
    "return false;",
  ]),
  bug("E4: recorded results settle as they arrive", [
    "engine/settlement.ts",
    "  addRecorded(candidate: Candidate): void {\n    this.#push(candidate);",
    "  #arrivals = 0;\n  addRecorded(arrived: Candidate): void {\n    const candidate = { seq: ++this.#arrivals - 1e9, settle: () => arrived.settle() };\n    this.#push(candidate);",
  ]),
  bug("E5: writes of one run travel in two batches at once", [
    "engine/execution-writer.ts",
    "if (this.#inFlight !== undefined || !execution.isLive) return undefined;",
    "if (!execution.isLive) return undefined;",
  ]),
  bug("E6: a run parks while a callback is busy", [
    "engine/execution.ts",
    "this.busyScopes === 0 &&",
    "",
  ]),
  bug("E6: the final commit does not look at the inbox again", [
    "engine/execution-writes.ts",
    "const guard = { epoch: execution.epoch, inbox: execution.inbox.count };",
    "const guard = { epoch: execution.epoch };",
  ]),
  bug("E7: a kept frame goes on under whatever epoch", [
    "engine/worker.ts",
    "claimed.kept && frame.epoch + 1 === claimed.run.epoch",
    "frame.epoch > 0",
  ]),
  bug("S4: a repeated write's answer gives a zombie the new holder's epoch", [
    "engine/execution-writer.ts",
    "if (result.epoch === execution.epoch) this.#recorded",
    "execution.epoch = result.epoch;\n      if (result.epoch === execution.epoch) this.#recorded",
  ]),
  bug("E8: an event id is accepted twice", [
    "engine/send-events.ts",
    "({ event, runId: eventRunId(event.id) })",
    "({ event, runId: eventRunId(event.id) + Math.random() })",
  ]),
  bug("E8: a wait looks back before it is recorded, and not after", [
    "engine/io/wait-for-event.ts",
    "this.#lookBacks = await this.#listen(from);",
    "this.#lookBacks = await this.#listen(from);\n    const early = await this.#earliest();\n    this.#lookBacks = early === undefined ? [] : this.#lookBacks;",
  ]),
  bug("E8: events are made whether or not somebody began to wait", [
    "engine/fan-out.ts",
    "for (const name of names) expect.push(paths.expected(name));",
    "",
  ]),
  bug("E8: a later wait receives the event of an earlier one", [
    "engine/io/wait-for-event.ts",
    "if (execution.received.wasBefore(id, waitingSince)) return false;",
    "",
  ]),
  bug("stores: an increment is written whatever the value is by now", [
    "engine/io/store.ts",
    "expected: current?.version ?? 0 }",
    "}",
  ]),
  bug("stores: an increment is tried again in a write of its own", [
    "engine/io/store.ts",
    "const answer = await recordCompared(",
    "await rawStorage.setValue(key, String(decision.next), current?.version ?? 0).catch(() => {});\n    const answer = await recordCompared(",
  ]),
  bug("flow control: what a rule decided from may have moved on", [
    "engine/flow-state.ts",
    "value: JSON.stringify(state), expected: version }",
    "value: JSON.stringify(state) }",
  ]),
  bug("flow control: a singleton that replaces does not wait for the end of the other", [
    "engine/flow-gate.ts",
    "else if (state?.runId === id) await this.#endAll(key, others);",
    "else if (state?.runId === id) this.#keep(key, version, { runId: id });",
  ]),
  bug("flow control: of two starts of a burst the one that was claimed last counts", [
    "core/flow-decisions.ts",
    "const isLater = isOther && state.createdAt >= createdAt;",
    "const isLater = isOther && hasWaited;",
  ]),
  bug("E8: a wait for a token does not ask to be told", [
    "engine/io/tokens.ts",
    "execution.writer.pending.watches.push({ targetId, signalId, topic: endTopic(targetId) });",
    "",
  ]),
  bug("E9: the id of an event does not derive from its task", [
    "engine/io/events.ts",
    "return takesId ? { ...event, id } : event;",
    "return takesId ? { ...event, id: id + Math.random() } : event;",
  ]),
  bug("E9: the id of a child does not derive from its task", [
    "engine/io/invoke.ts",
    'const id = derivedId("child", op.runId, op.path, op.scope.tag);',
    'const id = derivedId("child", op.runId, op.path.slice(-1), "");',
  ]),
  bug("E9: a retried parent keeps its failed children", [
    "engine/execution-calls.ts",
    'const stale = record.status !== "COMPLETED" && decodeTaskData(record.data).tag !== op.scope.tag;',
    "const stale = false;",
  ]),
  bug("E10: at-most-once tasks leave no start mark", [
    "engine/task-run.ts",
    'this.#options.mode === "at-most-once" || this.#execution.run.stalls >= 1',
    "this.#execution.run.stalls >= 1",
  ]),
  bug("E11: the hook of the end is forgotten", [
    "engine/execution-writes.ts",
    "if (hooks.length > 0) write.runs = [...(write.runs ?? []), ...hooks];",
    "",
  ]),
  bug("E12: the parent of a cancelled run is not told", [
    "engine/finish-run.ts",
    "...(signals.length === 0 ? undefined : { signals }),",
    "",
  ]),
  bug("E12: a parent takes a child that was retried for ended", [
    "engine/io/invoke-and-wait.ts",
    "if (!isOpen(child)) {\n      recordEnd(op, childId, child);\n      return;",
    "if (child !== undefined) {\n      recordEnd(op, childId, child);\n      return;",
  ]),
  bug("E13: leases are extended by the local wall clock", [
    "engine/lease.ts",
    "leaseUntil: this.#engine.storeClock.now() + this.#engine.leaseMs",
    "leaseUntil: this.#engine.clock.now() + this.#engine.leaseMs",
  ]),
  bug("E13: waits fire early", [
    "engine/store-clock.ts",
    "return this.#instant + Math.floor(",
    "return this.#instant + 300 + Math.floor(",
  ]),
  bug("E15: nobody polls, and hints may be lost", [
    "engine/claimer.ts",
    "this.#disarmPoll = undefined;\n      this.soon();",
    "this.#disarmPoll = undefined;",
  ]),
  bug("E18: a task fails because a read of the storage failed", [
    "engine/fan-out.ts",
    "await patience.until(() => registry.ensureLoaded(engine.storeClock.now()));",
    "await engine.rawStorage.now();\n  await registry.ensureLoaded(engine.storeClock.now());",
  ]),
  bug(
    "G22: the runs of ticks are made before the schedule goes on, and their ids do not derive from the ticks",
    [
      "engine/tick-schedule.ts",
      'const id = idAt(tick, derivedId("tick", scheduleId, String(tick), job.id));',
      'const id = idAt(tick, derivedId("tick", scheduleId, String(tick), job.id + Math.random()));',
    ],
    [
      "engine/tick-schedule.ts",
      "const { result } = await engine.queue.submit({",
      `${CREATE_RUNS}\n  const { result } = await engine.queue.submit({`,
    ],
  ),
  bug("G22: a schedule goes on before the runs of its ticks are made", [
    "engine/tick-schedule.ts",
    ": writeOf(engine, after)),\n  });",
    `: { ...writeOf(engine, after), runs: [] }),\n  });\n  if (result === "ok") { ${CREATE_RUNS} }`,
  ]),
  bug("G22: a schedule that somebody has changed goes on as its keeper knows it", [
    "engine/tick-schedule.ts",
    "guard: { epoch },",
    "guard: {},",
  ]),
  bug("G22: a schedule that is registered again begins anew", [
    "engine/schedule-state.ts",
    "if (isSame(same, state)) return undefined;",
    "if (isSame(same, state)) return { ...same, next: tickAfter(definition.schedule, now, now) ?? null };",
  ]),
  bug("G22: an older module takes a schedule back", [
    "engine/schedule-state.ts",
    "if (compareVersions(state.version, definition.version) > 0) return undefined;",
    "",
  ]),
  bug("connections: whoever waits is not woken", [
    "engine/connections.ts",
    "const answers = await Promise.all(waiting.map((run) => wake(engine, run.id)));",
    "const answers = waiting.map(() => true);",
  ]),
  bug("connections: what became ready while the resolver looked goes unnoticed", [
    "engine/connections.ts",
    "if ((now?.version ?? 0) !== version) await wake(engine, run.id);",
    "void now;",
  ]),
  bug("connections: one that is missing does not keep a run from starting", [
    "engine/connections.ts",
    'if (missing.size === 0) return "ready";',
    'if (missing.size < 100) return "ready";',
  ]),
  bug("logs: a replay writes its lines again", [
    "engine/log-buffer.ts",
    "return count <= known ? undefined :",
    "return count < known - 1e9 ? undefined :",
  ]),
];
