import type { LogLine } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";

/** The lines of a batch of writes. */
export class Logs {
  readonly #lines: { readonly rk: string; readonly epoch: number; readonly line: LogLine }[] = [];

  add(rk: string, epoch: number, lines: readonly LogLine[]): void {
    for (const line of lines) this.#lines.push({ rk, epoch, line });
  }

  /** A line that is there already came with an earlier try. */
  async store({ schema }: Context, session: Session): Promise<void> {
    if (this.#lines.length === 0) return;
    const column = (cell: (line: LogLine) => string | number | null) =>
      arrayText(this.#lines.map(({ line }) => cell(line)));
    await session.query(
      `insert into ${schema}.logs (rk, epoch, ordinal, at, stream, path, level, message, data) ` +
        "select rk, epoch, ordinal, at, stream, path, level, message, data from unnest($1::bigint[], $2::integer[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) " +
        "with ordinality as u(rk, epoch, ordinal, at, stream, path, level, message, data, place) order by place on conflict do nothing",
      [
        arrayText(this.#lines.map(({ rk }) => rk)),
        arrayText(this.#lines.map(({ epoch }) => epoch)),
        column(({ ordinal }) => ordinal),
        column(({ at }) => at),
        column(({ stream }) => stream),
        column(({ path }) => path),
        column(({ level }) => level),
        column(({ message }) => message),
        column(({ data }) => data),
      ],
    );
  }
}
