import { has, same } from "./check.js";
import type { Fixture } from "./fixture.js";
import { line, task } from "./samples.js";
import { topic } from "./topic.js";

/** Opaque: whatever looks like something must not be taken for it. */
const texts: Readonly<Record<string, string>> = {
  empty: "",
  spaces: "  \t leading and trailing \n ",
  "line ends": "\r\n\n\r\u2028\u2029\u0085",
  quotes: `'"\`\\\\'' -- ; drop table pawl_runs; $1 ? :a @b %s {0} $$`,
  "JSON with its own order, doubles and spaces":
    '{"b": 1, "a":2,"a" : 3, "n": 1.0e+02, "big": 12345678901234567890 }',
  "escaped characters": '"\\u0000 \\ud800 \\n \\\\ \\/"',
  "words of databases": "null",
  numbers: "0123",
  "surrogate pairs": "😀👩‍👩‍👧‍👦𝒳𐍈",
  "combining characters, not composed": "e\u0301 é \u1e9b\u0323",
  "right to left": "\u202eabc שלום مرحبا\u200f",
  "edges of the planes": "\u0001\u001f\u007f\u0080\ud7ff\ue000\ufeff\ufffd\ufffe\uffff\u{10ffff}",
  "byte order mark first": "\ufefftext",
  "what separates records elsewhere": "\u001d \u001e \u001f",
  "such a character alone": "\u001e",
  "upper and lower case": "İıſẞß",
};

async function everyColumn(store: Fixture, text: string): Promise<void> {
  const columns = {
    payload: text,
    admitted: text,
    output: text,
    error: text,
    meta: text,
    state: text,
  };
  const created = await store.create(columns);
  has(await store.get(created, store.b), columns, "created run");
  const run = await store.hold({ payload: null });
  const written = task("t", 1, {
    output: text,
    error: text,
    data: text,
    status: "WAITING",
    topics: ["t"],
    filter: text,
  });
  await store.ok(
    store.write(run, {
      run: { ...columns, blocked: text },
      tasks: [written],
      logs: [line(1, { message: text, data: text })],
      values: [{ key: "committed", value: text }],
    }),
  );
  await store.a.setValue("set", text);
  await store.send(run.id, { ref: text });
  await store.settleReads();
  has(await store.get(run.id, store.b), { ...columns, blocked: text }, "run");
  has(
    (await store.tasks(run.id, store.b))[0],
    { output: text, error: text, data: text, filter: text },
    "task",
  );
  has((await store.b.listLogs(run.id, { limit: 1 }))[0], { message: text, data: text }, "log line");
  has((await store.b.listSignals(run.id))[0], { ref: text }, "signal");
  for (const key of ["committed", "set"]) has(await store.b.getValue(key), { value: text }, key);
}

async function everyName(store: Fixture, name: string): Promise<void> {
  const columns = {
    id: `id ${name}`,
    jobId: `job ${name}`,
    version: name,
    tags: [name, `${name},${name}`],
    limitKeys: [`l/${name}`],
    eventId: name,
    parentId: name,
    parentPath: name,
    idempotencyKey: name,
    fingerprint: name,
  };
  const run = await store.hold(columns, { workerId: name });
  has(await store.get(run.id), { ...columns, workerId: name }, "run");
  await store.ok(
    store.write(run, {
      writeId: name,
      tasks: [task(name, 1, { kind: name, status: "WAITING", topics: [name] })],
      logs: [line(1, { stream: name, path: name, level: name })],
      values: [{ key: name, value: "" }],
    }),
  );
  await store.send(run.id, { id: name, topic: name });
  await store.settleReads();
  has((await store.tasks(run.id))[0], { path: name, kind: name, topics: [name] }, "task");
  has((await store.a.listWaiting([name], { limit: 1 }))[0], { runId: run.id }, "wait");
  has((await store.a.listLogs(run.id, { limit: 1 }))[0], { stream: name, path: name, level: name });
  has((await store.a.listSignals(run.id))[0], { id: name, topic: name }, "signal");
  has((await store.a.listValues(name, { limit: 1 }))[0], { key: name }, "value");
  for (const query of [{ tag: name }, { eventId: name }, { parentId: name }])
    same((await store.a.listRuns({ ...query, limit: 2 })).runs.length, 1, Object.keys(query)[0]);
}

/** Writes of nothing else, which a store may have a way of their own for: one alone, and two in one batch. */
async function recordsAlone(store: Fixture, text: string): Promise<void> {
  const runs = [await store.hold(), await store.hold(), await store.hold()];
  const writes = runs.map((run) =>
    store.write(run, {
      tasks: [
        task("plain", 1, { output: text }),
        task("more", 2, { output: text, error: text, data: text, kind: text }),
        task(`path ${text}`, 3),
      ],
      logs: [line(1, { message: text, data: text, path: text, level: text, stream: text })],
    }),
  );
  for (const batch of [writes.slice(0, 1), writes.slice(1)])
    for (const { result } of await store.commitAll(batch)) same(result, "ok", "commit");
  await store.settleReads();
  for (const { id } of runs) {
    const [first, second, third] = await store.tasks(id, store.b);
    has(first, { output: text, kind: "task" }, "plain record");
    has(second, { output: text, error: text, data: text, kind: text }, "record with more");
    has(third, { path: `path ${text}` }, "path");
    const [logged] = await store.b.listLogs(id, { limit: 2 });
    has(logged, { message: text, data: text, path: text, level: text, stream: text }, "log line");
  }
}

export const text = topic("text comes back as it was given", {
  ...Object.fromEntries(
    Object.entries(texts).map(([name, value]) => [
      `users' values: ${name}`,
      (store: Fixture) => everyColumn(store, value),
    ]),
  ),

  ...Object.fromEntries(
    Object.entries(texts).map(([name, value]) => [
      `records alone: ${name}`,
      (store: Fixture) => recordsAlone(store, value),
    ]),
  ),

  ...Object.fromEntries(
    Object.entries(texts).map(([name, value]) => [
      `names and keys: ${name}`,
      (store: Fixture) => everyName(store, value),
    ]),
  ),

  async "users' values: a megabyte, of one and of several bytes a character"(store) {
    await everyColumn(store, "x".repeat(1 << 20));
    const columns = { payload: "ä😀".repeat(1 << 18) };
    has(await store.get(await store.create(columns)), columns);
  },

  async "nothing is not the empty text"(store) {
    const nothing = {
      payload: null,
      admitted: null,
      output: null,
      error: null,
      meta: null,
      state: null,
    };
    const empty = { payload: "", admitted: "", output: "", error: "", meta: "", state: "" };
    const run = await store.hold(empty);
    has(await store.get(run.id), empty);
    await store.ok(store.write(run, { run: { ...nothing, blocked: null } }));
    has(await store.get(run.id), nothing);
    await store.ok(
      store.write(run, { run: empty, tasks: [task("t", 1, { output: null, data: "" })] }),
    );
    has(await store.get(run.id), empty);
    has((await store.tasks(run.id))[0], { output: null, data: "" });
  },

  async "ids that differ in case or accents only are different"(store) {
    const ids = ["run-É", "run-é", "run-e\u0301", "run-E", "run-e"];
    for (const id of ids) await store.create({ id, payload: id });
    for (const id of ids) has(await store.get(id), { id, payload: id });
  },
});
