import { execFileSync } from "node:child_process";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPawlError } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../eventually.js";
import { type OwnServer, startOwnServer, unprivilegedUser } from "./server.js";
import { Workload } from "./workload.js";

/** A disk of its own for the tables, with room for a database and little more. Its log is elsewhere, and has room. */
const DISK = "size=24m";
const CHUNK = Buffer.alloc(64 * 1024);

let disk: string;
let isMounted = false;
let server: OwnServer;

beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), "pawl-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", DISK, "tmpfs", disk], { stdio: "pipe" });
  } catch (error) {
    // Only who may mount can have one.
    console.warn(`no disk to fill: ${error}`);
    return;
  }
  isMounted = true;
  const user = unprivilegedUser();
  if (user !== undefined) chownSync(disk, user.uid, user.gid);
  server = await startOwnServer();
});
afterAll(async () => {
  await server?.stop();
  if (isMounted) execFileSync("umount", [disk]);
  rmSync(disk, { recursive: true });
});

function fill(file: string): void {
  for (;;) {
    try {
      writeFileSync(file, CHUNK, { flag: "a" });
    } catch {
      return;
    }
  }
}

test("work waits while the disk is full, and goes on when there is room", async ({ skip }) => {
  if (!isMounted) skip("nothing may be mounted here");
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`create tablespace small location '${disk}'`);
  await admin.query("create database small tablespace small");
  await admin.end();
  const url = new URL(server.url);
  url.pathname = "/small";
  const open = () => postgres({ url: url.href, schema: "full" });
  const work = new Workload(open(), open());
  await work.start();
  await eventually(() => work.effects > 200);
  const ballast = join(disk, "ballast");
  fill(ballast);
  const asked = work.refill(4_000);
  await eventually(() => work.troubles.some((error) => isPawlError(error, "STORAGE_FULL")));
  rmSync(ballast);
  await asked;
  await work.ended();
  expect(await work.faults()).toEqual([]);
  await work.stop();
});
