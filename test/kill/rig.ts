import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, createClient, finalStatuses } from "pawl";
import { inject } from "vitest";
import { LedgerReader, LedgerWriter } from "./ledger.js";
import { openStore, postgresAddress, removeStore, type StoreName } from "./store.js";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const COMPLETE_EVERY_MS = 20;

const typescript = ["--import", new URL("../../scripts/ts.mjs", import.meta.url).href];

let addresses = 0;

/** Of a store that nobody has used. It is for {@link removeStore} to remove it. */
export function newAddress(store: StoreName, folder: string): string {
  if (store === "sqlite") return join(folder, "rig.db");
  return postgresAddress(inject("postgresUrl"), `pawl_kill_${process.pid}_${addresses++}`);
}

/** Several workers and a sender on one store, and the ledger they write. */
export class Rig {
  readonly folder = mkdtempSync(join(tmpdir(), "pawl-kill-"));
  /** Of the store. */
  readonly address: string;
  readonly ledgerPath = join(this.folder, "ledger.txt");
  readonly ledger = new LedgerReader(this.ledgerPath);
  readonly notes = new LedgerWriter(this.ledgerPath);
  /** Looks, and completes tokens; it executes nothing. */
  readonly client: Client;
  workers: ChildProcess[] = [];
  #sender: ChildProcess | undefined;
  #target = 0;
  readonly #tokens = new Set<string>();
  #seen = 0;
  #completing: Promise<void> | undefined;
  #isOver = false;

  constructor(store: StoreName) {
    this.address = newAddress(store, this.folder);
    this.client = createClient({ storage: openStore(this.address, "little") });
  }

  get target(): number {
    return this.#target;
  }

  async start(workers: number): Promise<void> {
    await this.client.stats();
    await this.startSender();
    this.#completing = this.#completeTokens();
    for (let n = 0; n < workers; n++) this.startWorker();
  }

  startWorker(): void {
    // Every other worker keeps no parked execution, and replays instead.
    const maxParked = this.workers.length % 2 === 0 ? "1000" : "0";
    this.workers.push(this.#fork("worker.ts", maxParked));
  }

  async startSender(): Promise<void> {
    this.#sender = this.#fork("sender.ts", String(this.#answered()));
    await once(this.#sender, "message");
    this.#sender.send(this.#target);
  }

  /** Asks for that many runs more. */
  ask(runs: number): void {
    this.#target += runs;
    this.#sender?.send(this.#target);
  }

  #fork(file: string, argument: string): ChildProcess {
    const child = fork(here(file), [this.address, this.ledgerPath, argument], {
      execArgv: typescript,
    });
    child.once("message", () => ready.add(child));
    return child;
  }

  isReady(child: ChildProcess): boolean {
    return ready.has(child);
  }

  async killWorker(worker: ChildProcess): Promise<void> {
    worker.kill("SIGKILL");
    await once(worker, "exit");
    this.notes.write("kill", worker.pid ?? 0);
    this.workers = this.workers.filter((other) => other !== worker);
  }

  async killSender(): Promise<void> {
    if (this.#sender === undefined) return;
    this.#sender.kill("SIGKILL");
    await once(this.#sender, "exit");
    await this.startSender();
  }

  /** Requests of the sender that came to something. */
  #answered(): number {
    return this.ledger.read().filter(([what]) => what === "ack" || what === "skip").length;
  }

  /** Completes the tokens that runs wait for, as another system would. */
  async #completeTokens(): Promise<void> {
    const lines = this.ledger.read();
    while (this.#seen < lines.length) {
      const [what, , , tokenId = ""] = lines[this.#seen++] ?? [];
      if (what !== "token" || this.#tokens.has(tokenId)) continue;
      this.#tokens.add(tokenId);
      const answer = `answer-${this.#tokens.size}`;
      const { completed } = await this.client.completeToken(tokenId, answer);
      if (completed) this.notes.write("answer", process.pid, tokenId, answer);
    }
    if (!this.#isOver)
      this.#completing = pause(COMPLETE_EVERY_MS).then(() => this.#completeTokens());
  }

  /** Runs that are not over. */
  async backlog(): Promise<number> {
    const { runs } = await this.client.stats();
    const open = Object.entries(runs).filter(
      ([status]) => !(finalStatuses as readonly string[]).includes(status),
    );
    return open.reduce((sum, [, count]) => sum + count, 0);
  }

  async allDone(): Promise<boolean> {
    return this.#answered() === this.#target && (await this.backlog()) === 0;
  }

  async end(): Promise<void> {
    const children = [...this.workers, ...(this.#sender === undefined ? [] : [this.#sender])];
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
  }

  /** For whoever looks into what went wrong. */
  keepLedger(): void {
    const kept = `${this.folder}-ledger.txt`;
    copyFileSync(this.ledgerPath, kept);
    console.log(`The ledger: ${kept}`);
  }

  async remove(): Promise<void> {
    for (const child of [...this.workers, this.#sender]) child?.kill("SIGKILL");
    this.#isOver = true;
    await this.#completing;
    await this.client.stop();
    await removeStore(this.address);
    this.ledger.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const ready = new WeakSet<ChildProcess>();

/** Polls; gives up after ten times the expected time, and never before half a minute. */
export async function until(
  what: string,
  expectedMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const giveUpAt = performance.now() + Math.max(30_000, 10 * expectedMs);
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`Hangs: ${what}.`);
    await pause(20);
  }
}
