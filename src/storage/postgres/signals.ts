import { type RunWrite, type Signal, WATCH_TOPIC } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import type { LockedRuns } from "./locked-runs.js";
import { RowReader } from "./row-reader.js";

interface Entry {
  readonly isUnread: boolean;
  readonly topic: string;
}

/** The signals that a batch of writes meets or sends. Those that were read stay: none comes twice (S9). */
export class Signals {
  /** By run and signal id. */
  readonly #known = new Map<string, Entry>();
  readonly #sent: { readonly runId: string; readonly signal: Signal }[] = [];
  readonly #read: { readonly rk: string; readonly id: string }[] = [];
  readonly #runs: LockedRuns;

  private constructor(runs: LockedRuns) {
    this.#runs = runs;
  }

  static async of(
    { schema }: Context,
    session: Session,
    writes: readonly RunWrite[],
    runs: LockedRuns,
  ): Promise<Signals> {
    const signals = new Signals(runs);
    const wanted = writes
      .flatMap((write) => signalsMetBy(write))
      .flatMap(({ runId, id }) => {
        const rk = runs.row(runId)?.rk;
        return rk === undefined ? [] : [{ rk, id }];
      });
    if (wanted.length === 0) return signals;
    const rows = await session.query(
      `select s.rk::text, s.id, s.unread::text, s.topic from ${schema}.signals s ` +
        "where (s.rk, s.id) in (select * from unnest($1::bigint[], $2::text[]))",
      [arrayText(wanted.map(({ rk }) => rk)), arrayText(wanted.map(({ id }) => id))],
    );
    for (const row of rows) {
      const read = new RowReader(row);
      const name = `${read.string()} ${read.string()}`;
      signals.#known.set(name, { isUnread: read.boolean(), topic: read.string() });
    }
    return signals;
  }

  /** Answers how many were unread. Watches are never read. */
  markRead(rk: string, ids: readonly string[]): number {
    let marked = 0;
    for (const id of ids) {
      const entry = this.#known.get(`${rk} ${id}`);
      if (entry === undefined || !entry.isUnread || entry.topic === WATCH_TOPIC) continue;
      this.#known.set(`${rk} ${id}`, { ...entry, isUnread: false });
      this.#read.push({ rk, id });
      marked += 1;
    }
    return marked;
  }

  /** False if it is there already, read or not. */
  add(runId: string, signal: Signal): boolean {
    const name = `${this.#runs.row(runId)?.rk ?? runId} ${signal.id}`;
    if (this.#known.has(name)) return false;
    this.#known.set(name, { isUnread: true, topic: signal.topic });
    this.#sent.push({ runId, signal });
    return true;
  }

  async store({ schema }: Context, session: Session): Promise<void> {
    if (this.#sent.length > 0) {
      const column = (cell: (signal: Signal) => string | null) =>
        arrayText(this.#sent.map(({ signal }) => cell(signal)));
      await session.query(
        `insert into ${schema}.signals (rk, id, unread, topic, ref) select r.rk, u.id, true, u.topic, u.ref ` +
          "from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality as u(run_id, id, topic, ref, place) " +
          `join ${schema}.runs r on r.id = u.run_id order by u.place`,
        [
          arrayText(this.#sent.map(({ runId }) => runId)),
          column(({ id }) => id),
          column(({ topic }) => topic),
          column(({ ref }) => ref),
        ],
      );
    }
    if (this.#read.length === 0) return;
    await session.query(
      `update ${schema}.signals s set unread = false where (s.rk, s.id) in (select * from unnest($1::bigint[], $2::text[]))`,
      [arrayText(this.#read.map(({ rk }) => rk)), arrayText(this.#read.map(({ id }) => id))],
    );
  }
}

/** A watch is a signal to its target or, if that is over, to its watcher. */
function signalsMetBy(write: RunWrite): { readonly runId: string; readonly id: string }[] {
  const { runId, signalsRead = [], signals = [], watches = [] } = write;
  return [
    ...signalsRead.map((id) => ({ runId, id })),
    ...signals,
    ...watches.flatMap(({ targetId, signalId }) => [
      { runId, id: signalId },
      { runId: targetId, id: `${runId} ${signalId}` },
    ]),
  ];
}
