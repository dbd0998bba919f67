import type { TestProject } from "vitest/node";
import { postgresServer } from "./server.js";

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string;
  }
}

/** One server for all files; each has a schema of its own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await postgresServer();
  console.log(`PostgreSQL: ${server.from}`);
  project.provide("postgresUrl", server.url);
  return () => server.stop();
}
