import type { RunWrite, Storage, StoredItem } from "pawl/adapter-kit";

/** A storage that breaks one promise, and the topics of the suite that must notice: these and no others. */
export interface BrokenAdapter {
  readonly fault: string;
  readonly noticedBy: readonly string[];
  /** Called once per store, for what its instances share; what it answers is called once per instance. */
  readonly breaks: () => (inner: Storage) => Partial<Storage>;
}

type Change = (write: RunWrite, inner: Storage) => RunWrite | Promise<RunWrite>;

/** Each write is changed before it is committed. */
function changingWrites(change: Change): BrokenAdapter["breaks"] {
  return () => (inner) => ({
    commit: async (writes) =>
      inner.commit(await Promise.all(writes.map((write) => change(write, inner)))),
  });
}

/** Each thing is changed before it is imported. */
function changingItems(change: (item: StoredItem) => StoredItem): BrokenAdapter["breaks"] {
  return () => (inner) => ({
    importRuns: async (items) => inner.importRuns?.(items.map(change)),
  });
}

/** `add` is done after each write that was answered by one of these. */
function actingOn(
  results: readonly string[],
  act: (write: RunWrite, inner: Storage) => Promise<unknown>,
): BrokenAdapter["breaks"] {
  return () => (inner) => ({
    commit: async (writes) => {
      const answers = await inner.commit(writes);
      for (const [index, write] of writes.entries())
        if (results.includes(answers[index]?.result ?? "")) await act(write, inner);
      return answers;
    },
  });
}

function isTasksOnly({ runId, writeId, guard, tasks, ...others }: RunWrite): boolean {
  return Object.keys(others).length === 0;
}

async function unreadOf(inner: Storage, runId: string): Promise<number> {
  const signals = await inner.listSignals(runId);
  return signals.filter(({ topic }) => topic !== "$watch").length;
}

let serial = 0;

const atomicity = "S1: an element is atomic and stands alone";
const guards = "S2: every part of a guard holds when the element is durable";
const watches = "S9: a watch is a signal to the watcher when the target ends";
const due = "S8: a run is due when its time has come or its signals have";
const interleavings = "S8: no wake-up is lost or doubled between park, signal and claim";
const repeats = "S4: what is sent again after a lost answer is recognised";
const transfer = "exportRuns and importRuns";
const frugality = "S12: a commit of task records leaves the run row alone";
const signals = "S9: a signal is added once, whatever its target is doing";

export const brokenAdapters: readonly BrokenAdapter[] = [
  {
    fault: "S1: a refused element sets its values all the same",
    noticedBy: [atomicity],
    breaks: actingOn(["rejected", "conflict"], async ({ values = [] }, inner) => {
      for (const { key, value } of values) await inner.setValue(key, value ?? "");
    }),
  },
  {
    fault: "S1: what comes after a refused element is refused, too",
    noticedBy: [atomicity],
    breaks: () => (inner) => ({
      commit: async (writes) => {
        const answers = await inner.commit([]);
        for (const write of writes) {
          const refused = answers.find(({ result }) => result === "rejected");
          answers.push(...(refused === undefined ? await inner.commit([write]) : [refused]));
        }
        return answers;
      },
    }),
  },
  {
    fault: "S2: a write of tasks needs no epoch",
    noticedBy: [guards],
    breaks: changingWrites((write) => (isTasksOnly(write) ? { ...write, guard: {} } : write)),
  },
  {
    fault: "S2: the inbox is not compared",
    noticedBy: [guards, watches],
    breaks: changingWrites((write) => ({ ...write, guard: { ...write.guard, inbox: undefined } })),
  },
  {
    fault: "S2: the generation is not compared",
    noticedBy: [guards],
    breaks: changingWrites((write) => ({
      ...write,
      guard: { ...write.guard, generation: undefined },
    })),
  },
  {
    fault: "S3: an open record gives way to any write",
    noticedBy: ["S3: what is completed or over never changes"],
    breaks: changingWrites(async (write, inner) => {
      const { tasks } = await inner.listTasks(write.runId, 0, 1_000_000);
      const open = new Map(tasks.map(({ path, seq }) => [path, seq]));
      return {
        ...write,
        tasks: write.tasks?.map((task) => ({ ...task, replaces: open.get(task.path) })),
      };
    }),
  },
  {
    fault: "S4: a repeated writeId is not recognised",
    noticedBy: [repeats, frugality],
    breaks: changingWrites((write) => {
      serial += 1;
      return { ...write, writeId: `${write.writeId} ${serial}` };
    }),
  },
  {
    fault: "S4: a repeated createId is not recognised",
    noticedBy: [repeats],
    breaks: () => (inner) => ({
      createRuns: (elements) => {
        serial += 1;
        return inner.createRuns(elements.map((each) => ({ ...each, createId: `${serial}` })));
      },
    }),
  },
  {
    fault: "S4: a repeated claimId is not recognised",
    noticedBy: [repeats],
    breaks: () => (inner) => ({
      claimRuns: (request) => {
        serial += 1;
        return inner.claimRuns({ ...request, claimId: `${serial}` });
      },
    }),
  },
  {
    fault: "S5: a seq that is taken is replaced by another",
    noticedBy: ["S5: every record carries a seq of its own"],
    breaks: () => (inner) => ({
      commit: async (writes) => {
        const answers = await inner.commit(writes);
        for (const [index, write] of writes.entries()) {
          if (!answers[index]?.reason?.startsWith("Seq")) continue;
          const tasks = write.tasks?.map((task) => ({ ...task, seq: task.seq + 1_000 }));
          answers.splice(index, 1, ...(await inner.commit([{ ...write, tasks }])));
        }
        return answers;
      },
    }),
  },
  {
    fault: "S6: claims at the same time get the same runs",
    noticedBy: ["S6: two claimers never get one run under one epoch"],
    breaks: () => {
      const underWay = new Map<string, ReturnType<Storage["claimRuns"]>>();
      return (inner) => ({
        claimRuns: async (request) => {
          if (Object.keys(request.limits).length > 0) return inner.claimRuns(request);
          const jobs = request.jobIds.join();
          const claim = underWay.get(jobs) ?? inner.claimRuns(request);
          underWay.set(jobs, claim);
          return claim.finally(() => underWay.delete(jobs));
        },
      });
    },
  },
  {
    fault: "S6: priority is lost",
    noticedBy: ["S6: a claim takes runs in order", "createRuns"],
    breaks: () => (inner) => ({
      createRuns: (elements) =>
        inner.createRuns(
          elements.map(({ groups, ...element }) => ({
            ...element,
            groups: groups.map(({ first, further }) => ({
              first: { ...first, priority: 0 },
              further,
            })),
          })),
        ),
    }),
  },
  {
    fault: "S6: nextDue is not told",
    noticedBy: ["S6: what a claim answers", "S7: a limit is never exceeded"],
    breaks: () => (inner) => ({
      claimRuns: async (request) => ({ ...(await inner.claimRuns(request)), nextDue: null }),
    }),
  },
  {
    fault: "S7: limits are not enforced",
    noticedBy: ["S7: a limit is never exceeded", transfer],
    breaks: () => (inner) => ({
      claimRuns: (request) => inner.claimRuns({ ...request, limits: {} }),
    }),
  },
  {
    fault: "S8: one signal is enough for a run that waits for several",
    noticedBy: [due, transfer],
    breaks: changingWrites((write) => {
      if (write.release === undefined) return write;
      const wakeSignals = Math.min(1, write.release.wakeSignals);
      return { ...write, release: { ...write.release, wakeSignals } };
    }),
  },
  {
    fault: "S8: signals that came before the park do not count",
    noticedBy: [due, interleavings],
    breaks: changingWrites(async (write, inner) => {
      if (write.release === undefined || write.release.wakeSignals === 0) return write;
      const wakeSignals = write.release.wakeSignals + (await unreadOf(inner, write.runId));
      return { ...write, release: { ...write.release, wakeSignals } };
    }),
  },
  {
    fault: "S9: a watch on a run that is over is not answered",
    noticedBy: [watches],
    breaks: changingWrites(async (write, inner) => {
      if (write.watches === undefined) return write;
      const targets = await inner.getRuns(write.watches.map(({ targetId }) => targetId));
      const isOpen = (index: number): boolean => (targets[index]?.dueAt ?? null) !== null;
      return { ...write, watches: write.watches.filter((_, index) => isOpen(index)) };
    }),
  },
  {
    fault: "S9: signals to a run that is over are dropped",
    noticedBy: [signals],
    breaks: changingWrites(async (write, inner) => {
      if (write.signals === undefined) return write;
      const targets = await inner.getRuns(write.signals.map(({ runId }) => runId));
      return {
        ...write,
        signals: write.signals.filter((_, index) => targets[index]?.dueAt !== null),
      };
    }),
  },
  {
    fault: "S10: signals are sent, whatever becomes of the write",
    noticedBy: ["S10: what a write does to other runs is durable with it"],
    breaks: actingOn(["fenced", "conflict"], async ({ runId, writeId, signals: sent }, inner) => {
      if (sent !== undefined) await inner.commit([{ runId, writeId, guard: {}, signals: sent }]);
    }),
  },
  {
    fault: "S10: runs that a write creates are lost",
    noticedBy: ["S10: what a write does to other runs is durable with it"],
    breaks: changingWrites(({ runs, ...write }) => write),
  },
  {
    fault: "S11: deadlines are not told",
    noticedBy: ["S11: no deadline goes unnoticed"],
    breaks: () => (inner) => ({
      claimRuns: async (request) => ({ ...(await inner.claimRuns(request)), overdue: [] }),
    }),
  },
  {
    fault: "S12: commits of tasks write the run row",
    noticedBy: [frugality],
    breaks: changingWrites((write) =>
      isTasksOnly(write) ? { ...write, run: { meta: "touched" } } : write,
    ),
  },
  {
    fault: "expectations are not compared",
    noticedBy: [atomicity, "createRuns"],
    breaks: () => (inner) => ({
      createRuns: (elements) =>
        inner.createRuns(elements.map((each) => ({ ...each, expect: undefined }))),
    }),
  },
  {
    fault: "values of a creation are not written",
    noticedBy: ["createRuns"],
    breaks: () => (inner) => ({
      createRuns: (elements) =>
        inner.createRuns(elements.map((each) => ({ ...each, values: undefined }))),
    }),
  },
  {
    fault: "values of a creation are written without their comparison",
    noticedBy: ["createRuns"],
    breaks: () => (inner) => ({
      createRuns: (elements) =>
        inner.createRuns(
          elements.map((each) => ({
            ...each,
            values: each.values?.map(({ key, value }) => ({ key, value })),
          })),
        ),
    }),
  },
  {
    fault: "a write does not set a version",
    noticedBy: ["what a write sets"],
    breaks: changingWrites((write) =>
      write.run === undefined ? write : { ...write, run: { ...write.run, version: undefined } },
    ),
  },
  {
    fault: "kept executions are forgotten",
    noticedBy: ["executions, stalls and suspects"],
    breaks: changingWrites((write) =>
      write.release === undefined
        ? write
        : { ...write, release: { ...write.release, keep: false } },
    ),
  },
  {
    fault: "suspects are claimed like all others",
    noticedBy: ["executions, stalls and suspects"],
    breaks: changingWrites((write) =>
      write.run?.stalls === undefined || write.release === undefined
        ? write
        : { ...write, run: { ...write.run, stalls: 1 } },
    ),
  },
  {
    fault: "log pages begin at the beginning",
    noticedBy: ["log lines"],
    breaks: () => (inner) => ({
      listLogs: (runId, { limit }) => inner.listLogs(runId, { limit }),
    }),
  },
  {
    fault: "values are set without comparison",
    noticedBy: ["values"],
    breaks: () => (inner) => ({ setValue: (key, value) => inner.setValue(key, value) }),
  },
  {
    fault: "lists hold internal runs",
    noticedBy: ["listRuns and countRuns"],
    breaks: () => (inner) => ({
      listRuns: (query) => inner.listRuns({ ...query, internal: true }),
    }),
  },
  {
    fault: "pages of tasks have no end",
    noticedBy: ["listTasks"],
    breaks: () => (inner) => ({
      listTasks: (runId, afterSeq) => inner.listTasks(runId, afterSeq, 1_000_000_000),
    }),
  },
  {
    fault: "a wait is found once per topic",
    noticedBy: ["listWaiting"],
    breaks: () => (inner) => ({
      listWaiting: async (topics, page) =>
        (await Promise.all(topics.map((topic) => inner.listWaiting([topic], page)))).flat(),
    }),
  },
  {
    fault: "what is written in a transaction is there whatever becomes of it",
    noticedBy: ["E17: records in transactions of users"],
    breaks: () => (inner) => ({
      commitWith: async (work) => {
        const [result] = await inner.commit([await work({})]);
        if (result === undefined) throw new Error("no answer");
        return result;
      },
      createRunsIn: async (_, element) => {
        const [result] = await inner.createRuns([element]);
        if (result === undefined) throw new Error("no answer");
        return result;
      },
    }),
  },
  {
    fault: "purged runs leave no tombstone",
    noticedBy: ["purge", transfer],
    breaks: () => (inner) => ({ purge: (query) => inner.purge({ ...query, dedupeUntil: 0 }) }),
  },
  {
    fault: "an import gives up the leases of its runs",
    noticedBy: [transfer],
    breaks: changingItems((item) =>
      item.kind === "run" ? { ...item, run: { ...item.run, leaseUntil: null, dueAt: 0 } } : item,
    ),
  },
  {
    fault: "what was read elsewhere is imported as unread",
    noticedBy: [transfer],
    breaks: changingItems((item) => (item.kind === "signal" ? { ...item, isRead: false } : item)),
  },
  {
    fault: "imported values begin with the first version",
    noticedBy: [transfer],
    breaks: changingItems((item) => (item.kind === "value" ? { ...item, version: 1 } : item)),
  },
  {
    fault: "an import stops at what it cannot take",
    noticedBy: [transfer],
    breaks: () => (inner) => ({
      importRuns: async (items) => {
        if (items.length === 0) await inner.importRuns?.(items);
        for (const item of items) await inner.importRuns?.([item]);
      },
    }),
  },
  {
    fault: "an export ends with its first page",
    noticedBy: [transfer],
    breaks: () => (inner) => ({
      exportRuns: async (query) => {
        const items = (await inner.exportRuns?.(query))?.items ?? [];
        return { items };
      },
    }),
  },
  {
    fault: "text is normalised",
    noticedBy: ["text comes back as it was given"],
    breaks: () => (inner) => ({
      setValue: (key, value, expected) => inner.setValue(key, value.normalize("NFC"), expected),
    }),
  },
  {
    fault: "a closed storage goes on",
    noticedBy: ["init and close"],
    breaks: () => () => ({ close: async () => {} }),
  },
  {
    fault: "the clock follows the wall clock back",
    noticedBy: ["the store's clock"],
    breaks: () => (inner) => {
      let wall: { now(): number } = Date;
      return {
        init: async (environment) => {
          wall = environment.clock;
          await inner.init(environment);
        },
        now: async () => (await inner.now()) && wall.now(),
      };
    },
  },
  {
    fault: "the same answer is the same object",
    noticedBy: ["no reference is shared with the caller"],
    breaks: () => {
      const answers = new Map<string, Awaited<ReturnType<Storage["listSignals"]>>>();
      return (inner) => ({
        listSignals: async (runId) => {
          const answer = await inner.listSignals(runId);
          const text = `${runId} ${JSON.stringify(answer)}`;
          answers.set(text, answers.get(text) ?? answer);
          return answers.get(text) ?? answer;
        },
      });
    },
  },
];

/** The storage with some of its methods replaced. */
export function withMethods(inner: Storage, methods: Partial<Storage>): Storage {
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
