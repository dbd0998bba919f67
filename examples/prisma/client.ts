// The generated client of a schema with one model. An application has it by `npx prisma generate`.
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { PrismaPg } from "@prisma/adapter-pg";

/** What is used here of a transaction of the generated client. */
export interface PrismaTransaction {
  readonly order: { create(row: { data: { id: string; amount?: number } }): Promise<unknown> };
  $queryRawUnsafe(text: string, ...values: unknown[]): Promise<Record<string, unknown>[]>;
}

export interface GeneratedPrisma {
  $transaction<T>(work: (tx: PrismaTransaction) => Promise<T>): Promise<T>;
  $disconnect(): Promise<void>;
}

const root = join(import.meta.dirname, "../..");

const schema = `
generator client {
  provider = "prisma-client-js"
  engineType = "client"
  output = "./generated"
}
datasource db {
  provider = "postgresql"
}
model Order {
  id     String @id
  amount Int    @default(1)
  @@map("orders")
}
`;

/**
 * Generated into a folder of this name. Prisma's engines are not needed for that any more, only looked for, and could not
 * be downloaded everywhere: any program will do.
 *
 * @param tables the schema of the database that has the table
 */
export async function prismaClient(
  url: string,
  tables: string,
  name: string,
): Promise<GeneratedPrisma> {
  const folder = join(root, ".test-results", name);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "schema.prisma");
  writeFileSync(path, schema.replace('"postgresql"', `"postgresql"\n  url = "${url}"`));
  const require = createRequire(import.meta.url);
  const cli = require.resolve("prisma/build/index.js");
  await promisify(execFile)(process.execPath, [cli, "generate", "--schema", path], {
    cwd: folder,
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      CHECKPOINT_DISABLE: "1",
      PRISMA_HIDE_UPDATE_MESSAGE: "1",
    },
  });
  const generated = require(join(folder, "generated", "index.js")) as {
    readonly PrismaClient: new (options: { adapter: PrismaPg }) => GeneratedPrisma;
  };
  return new generated.PrismaClient({
    adapter: new PrismaPg({ connectionString: url }, { schema: tables }),
  });
}
