import { symlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Consumer, type Result, run, tool } from "./consumer.js";

/** Type instantiations that a project of 200 jobs may cost beyond one of none. */
const BUDGET_FOR_200_JOBS = 160_000;

const program = `
import { createClient, defineJob, invokeTrigger } from "pawl";
import { testStorage } from "pawl/adapter-kit";
import { memory } from "pawl/memory";
import { sqlite } from "pawl/sqlite";
import { fakeClock } from "pawl/testing";
import { z } from "zod";

export const order = defineJob({
  id: "order",
  trigger: invokeTrigger({ schema: z.object({ id: z.string().transform((text) => text.length) }) }),
  run: async (payload, io) => {
    const length: number = payload.id;
    return io.runTask("double", () => length * 2);
  },
});
export const client = createClient({ storage: memory(), jobs: [order], clock: fakeClock() });
export const others = [sqlite, testStorage] as const;

export async function total(): Promise<number> {
  const handle = await client.invoke(order, { id: "four" });
  await client.drain();
  const run = await client.getRun(handle);
  await client.stop();
  return run?.output ?? 0;
}
`;

const consumer = new Consumer();
beforeAll(async () => {
  await consumer.install(["zod@4"]);
  // The types of Node, as most consumers have them; TypeScript comes from this repository.
  symlinkSync(tool("@types"), consumer.path("node_modules/@types"));
  symlinkSync(tool("undici-types"), consumer.path("node_modules/undici-types"));
});
afterAll(() => consumer.remove());

interface Fixture {
  readonly name: string;
  readonly type?: "module" | "commonjs";
  readonly options: Record<string, unknown>;
  readonly files: Record<string, string>;
}

async function compile(fixture: Fixture, ...flags: string[]): Promise<Result> {
  const { name, type = "module", options, files } = fixture;
  const compilerOptions = {
    target: "es2022",
    lib: ["es2023"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    outDir: "out",
    rootDir: ".",
    ...options,
  };
  consumer.write({ [`${name}/package.json`]: JSON.stringify({ type }) });
  consumer.write({
    [`${name}/tsconfig.json`]: JSON.stringify({ compilerOptions, include: ["*.ts"] }),
  });
  for (const [path, text] of Object.entries(files)) consumer.write({ [`${name}/${path}`]: text });
  return run(
    process.execPath,
    [tool("typescript/bin/tsc"), "-p", ".", ...flags],
    consumer.path(name),
  );
}

const nodenext = { module: "nodenext", moduleResolution: "nodenext" };
/** Our own declarations are checked as well: a library check that is skipped hides what is broken. */
const checked = { ...nodenext, skipLibCheck: false };

describe("a TypeScript project compiles and runs", () => {
  const print = `import { total } from "./main.js"; void total().then((n) => console.log(n));`;
  const files = { "main.ts": program, "print.ts": print };

  test.each([
    { name: "nodenext-esm", type: "module" as const, options: checked },
    { name: "nodenext-cjs", type: "commonjs" as const, options: nodenext },
  ])("$name", async ({ name, type, options }) => {
    expect(await compile({ name, type, options, files })).toMatchObject({ code: 0, stdout: "" });
    const { stdout, stderr } = await consumer.node(`${name}/out/print.js`);
    expect({ stdout, stderr }).toEqual({ stdout: "8\n", stderr: "" });
  });

  test("bundler", async () => {
    const options = { module: "esnext", moduleResolution: "bundler", noEmit: true };
    const result = await compile({ name: "bundler", options, files });
    expect(result).toMatchObject({ code: 0, stdout: "" });
  });

  test("with the web's own types in place of Node's", async () => {
    const options = { ...checked, lib: ["es2023", "dom", "dom.iterable"], types: [] };
    const result = await compile({ name: "web", options: { ...options, noEmit: true }, files });
    expect(result).toMatchObject({ code: 0, stdout: "" });
  });

  test("a mistake is found", async () => {
    const wrong = program.replace('{ id: "four" }', "{ id: 4 }");
    const result = await compile({ name: "wrong", options: nodenext, files: { "main.ts": wrong } });
    expect(result.stdout).toContain("TS2322");
  });
});

describe("declarations of a project that exports jobs", () => {
  test("name only what the package exports", async () => {
    const options = { ...nodenext, declaration: true, emitDeclarationOnly: true };
    const files = { "main.ts": program + manyKinds };
    const result = await compile({ name: "declaration", options, files });
    expect(result).toMatchObject({ code: 0, stdout: "" });
    const text = consumer.read("declaration/out/main.d.ts");
    expect(text).toContain('order: import("pawl").Job<{');
    expect(text).not.toMatch(/import\("(?!pawl"\)|pawl\/|zod")/);
    expect(text).not.toMatch(/\bany\b/);
  });
});

const manyKinds = `
import { defineEvent, eventTrigger, type Integration, type Io } from "pawl";
export const paid = defineEvent({ name: "paid", schema: z.object({ id: z.string() }) });
export const onPaid = eventTrigger({ name: paid });
declare const mail: Integration<{ send(to: string): Promise<number> }>;
export const ship = client.defineJob({
  id: "ship",
  trigger: onPaid,
  integrations: { mail },
  onFailure: (run) => console.error(run.error),
  run: async ({ id }, io) => ({ sent: await io.mail.send(id), child: await io.invokeAndWait("o", order, { id }) }),
});
export const read = (id: string) => client.getRun<number>(id);
export const send = () => client.sendEvent({ name: paid, payload: { id: "a" } });
export const step = (io: Io) => io.waitForAny("any", { a: (b) => b.wait("w", 1), c: (b) => b.uuid("u") });
`;

describe("200 jobs", () => {
  test(`cost at most ${BUDGET_FOR_200_JOBS} type instantiations`, async () => {
    const [empty, full] = await Promise.all([instantiations(0), instantiations(200)]);
    console.log(`type instantiations: ${empty} without a job, ${full} with 200 jobs`);
    expect(full - empty).toBeLessThan(BUDGET_FOR_200_JOBS);
    expect(full).toBeGreaterThan(empty);
  });
});

async function instantiations(jobs: number): Promise<number> {
  const options = { ...nodenext, noEmit: true };
  const files = { "jobs.ts": projectOf(jobs) };
  const result = await compile({ name: `jobs-${jobs}`, options, files }, "--extendedDiagnostics");
  const count = /^Instantiations:\s+(\d+)$/m.exec(result.stdout)?.[1];
  expect(result.code, result.stdout).toBe(0);
  return Number(count);
}

function projectOf(jobs: number): string {
  const definitions = Array.from({ length: jobs }, (_, number) => job(number));
  const names = definitions.map((_, number) => `job${number}`).join(", ");
  return `
import { createClient, defineJob, invokeTrigger } from "pawl";
import { z } from "zod";
${definitions.join("\n")}
export const client = createClient({ jobs: [${names}] });
`;
}

/** Each has a schema with a transform, tasks, a wait, and invokes the one before it. */
function job(number: number): string {
  const child =
    number === 0
      ? "0"
      : `await io.invokeAndWait("child", job${number - 1}, { id${number - 1}: "x", count: 1 })`;
  return `
export const job${number} = defineJob({
  id: "job-${number}",
  onFailure: (run) => console.error(run.error?.message),
  trigger: invokeTrigger({
    schema: z.object({ id${number}: z.string().transform((text) => text.length), count: z.number() }),
  }),
  run: async (payload, io, context) => {
    const user = await io.runTask("load", () => ({ name: "x", length: payload.id${number} }));
    await io.wait("pause", "1h");
    const child = ${child};
    const sizes = await io.parallel("all", [1, 2], (item, _index, inner) => inner.runTask("t", () => item + user.length));
    return { user, sizes, child: child ? "yes" : "no", run${number}: context.run.id };
  },
});`;
}
