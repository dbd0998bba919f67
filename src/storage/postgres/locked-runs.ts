import type { StoredRun } from "../../core/stored-run.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { earliest, hintOf } from "./due-hint.js";
import { runColumns, type StoredRow, storedRowOf } from "./run-row.js";
import { updateRuns } from "./run-update.js";

/**
 * Runs whose rows this transaction has locked. No row is waited for, so two
 * transactions that want the same ones never wait for each other: a row that
 * somebody else has is busy.
 */
export class LockedRuns {
  readonly #rows = new Map<string, StoredRow>();
  readonly #busy = new Set<string>();
  /** Made by this transaction, and not stored yet. */
  readonly #made = new Map<string, StoredRun>();
  /** And what it was before. */
  readonly #changed = new Map<StoredRow, StoredRun>();

  static async of(
    { schema }: Context,
    session: Session,
    touched: readonly string[],
  ): Promise<LockedRuns> {
    const runs = new LockedRuns();
    const ids = [...new Set(touched)];
    const rows = await session.query(
      `select ${runColumns} from ${schema}.runs r where r.id = any($1::text[]) for no key update skip locked`,
      [arrayText(ids)],
    );
    for (const row of rows.map(storedRowOf)) runs.#rows.set(row.stored.run.id, row);
    const others = ids.filter((id) => !runs.#rows.has(id));
    if (others.length === 0) return runs;
    const busy = await session.query(
      `select r.id from ${schema}.runs r where r.id = any($1::text[])`,
      [arrayText(others)],
    );
    for (const [id] of busy) runs.#busy.add(id ?? "");
    return runs;
  }

  isBusy(id: string): boolean {
    return this.#busy.has(id);
  }

  row(id: string): StoredRow | undefined {
    return this.#rows.get(id);
  }

  find(id: string): StoredRun | undefined {
    return this.#rows.get(id)?.stored ?? this.#made.get(id);
  }

  stored(id: string): StoredRun {
    const stored = this.find(id);
    if (stored === undefined) throw new Error(`Run ${id} was not locked.`);
    return stored;
  }

  add(stored: StoredRun): void {
    this.#made.set(stored.run.id, stored);
  }

  change(id: string, stored: StoredRun): void {
    const row = this.#rows.get(id);
    if (row === undefined) {
      this.#made.set(id, stored);
      return;
    }
    if (!this.#changed.has(row)) this.#changed.set(row, row.stored);
    row.stored = stored;
  }

  /** When workers elsewhere should look, because of what was made or changed. */
  hint(now: number): number | undefined {
    const hints = [
      ...[...this.#changed].map(([{ stored }, before]) => hintOf(before, stored, now)),
      ...[...this.#made.values()].map((stored) => hintOf(undefined, stored, now)),
    ];
    return earliest(hints);
  }

  async store({ schema }: Context, session: Session): Promise<void> {
    if (this.#changed.size === 0) return;
    const updates = [...this.#changed].map(([{ rk, stored }, before]) => ({ rk, before, stored }));
    await updateRuns(schema, session, updates);
  }
}
