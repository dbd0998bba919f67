import type { Database } from "./database.js";
import { RowReader } from "./text.js";

interface RunPaths {
  readonly rk: number;
  readonly paths: Set<string>;
  /** Every record up to this seq is known, given that seqs rise (contract S5). */
  lastSeq: number;
  /** How often others had written when it was last brought up to date. */
  asOf: number;
}

const selectPaths =
  "select path, seq from pawl_tasks where rk = ? and seq > ? order by seq limit 1000";
const PAGE = 1_000;

/** A run counts for this many paths on top of its own. */
const PER_RUN = 8;

/**
 * Which paths have a record, of the runs that this process works on. An index
 * would tell as well, but every task would have to be written into it: a tenth
 * of what a lone commit costs. Since each record takes the run's next seq
 * (contract S5), what others have written is what lies above the highest known.
 *
 * Only runs that are held or kept are in here, whose executions have the same
 * paths in memory anyway: the bound is for those that were lost unnoticed.
 */
export class RecordedPaths {
  readonly #database: Database;
  readonly #most: number;
  /** By run id. Only what is worked on is kept (see the Committer). */
  readonly #runs = new Map<string, RunPaths>();
  /** Of what these have got in the open transaction nothing counts if it is rolled back. */
  readonly #written: string[] = [];
  #isOpen = false;
  #size = 0;
  #othersWrote = 0;

  constructor(database: Database, most = 1_000_000) {
    this.#database = database;
    this.#most = most;
  }

  /** A transaction begins. */
  begin(): void {
    this.#isOpen = true;
  }

  /** It ends: as if it had never been, unless it was committed. */
  end(isCommitted: boolean): void {
    if (!isCommitted) for (const runId of this.#written) this.forget(runId);
    this.#written.length = 0;
    this.#isOpen = false;
  }

  /** The run is new: nothing is recorded yet. */
  startsEmpty(runId: string, rk: number): void {
    this.forget(runId);
    this.#keep(runId, { rk, paths: new Set(), lastSeq: 0, asOf: this.#othersWrote });
  }

  /** Inside of a transaction. */
  has(runId: string, rk: number, path: string): boolean {
    return this.#upToDate(runId, rk).paths.has(path);
  }

  /**
   * True if the path is free unless others have written since, who then have
   * taken this very seq: so an insert finds out by itself, and needs no transaction.
   */
  isFreeAt(runId: string, rk: number, path: string, seq: number): boolean {
    const known = this.#runs.get(runId);
    return known?.rk === rk && known.lastSeq + 1 === seq && !known.paths.has(path);
  }

  /** Written just now, after {@link has} or {@link isFreeAt}. */
  add(runId: string, path: string, seq: number): void {
    const known = this.#runs.get(runId);
    if (known === undefined) return;
    if (!known.paths.has(path)) this.#size++;
    known.paths.add(path);
    this.#note(runId);
    known.lastSeq = Math.max(known.lastSeq, seq);
    if (this.#size > this.#most) this.#makeRoom(runId);
  }

  /** A record that was there has this seq now. Inside of a transaction. */
  moved(runId: string, seq: number): void {
    const known = this.#runs.get(runId);
    if (known === undefined) return;
    this.#note(runId);
    if (known.asOf === this.#othersWrote) known.lastSeq = Math.max(known.lastSeq, seq);
    else this.#upToDate(runId, known.rk);
  }

  /** Another connection has written. */
  othersWrote(): void {
    this.#othersWrote++;
  }

  forget(runId: string): void {
    const known = this.#runs.get(runId);
    if (known === undefined) return;
    this.#size -= known.paths.size + PER_RUN;
    this.#runs.delete(runId);
  }

  forgetAll(): void {
    this.#runs.clear();
    this.#size = 0;
  }

  #upToDate(runId: string, rk: number): RunPaths {
    let known = this.#runs.get(runId);
    if (known?.asOf === this.#othersWrote && known.rk === rk) return known;
    // Purged and made anew, it may have another row.
    if (known?.rk !== rk) known = undefined;
    known ??= { rk, paths: new Set(), lastSeq: 0, asOf: this.#othersWrote };
    this.forget(runId);
    this.#readOn(known);
    this.#keep(runId, known);
    return known;
  }

  #readOn(known: RunPaths): void {
    for (;;) {
      const rows = this.#database.all(selectPaths, [known.rk, known.lastSeq]);
      for (const row of rows) {
        const read = new RowReader(row);
        known.paths.add(read.string());
        known.lastSeq = read.number();
      }
      if (rows.length < PAGE) break;
    }
    known.asOf = this.#othersWrote;
  }

  #note(runId: string): void {
    if (this.#isOpen) this.#written.push(runId);
  }

  #keep(runId: string, known: RunPaths): void {
    this.#note(runId);
    this.#runs.set(runId, known);
    this.#size += known.paths.size + PER_RUN;
    if (this.#size > this.#most) this.#makeRoom(runId);
  }

  /** Chosen at random: of runs that are worked on in turns, those that come next would go else. */
  #makeRoom(forRun: string): void {
    while (this.#size > this.#most && this.#runs.size > 1) {
      const others = [...this.#runs.keys()].filter((runId) => runId !== forRun);
      this.forget(others[Math.floor(Math.random() * others.length)] ?? "");
    }
  }
}
