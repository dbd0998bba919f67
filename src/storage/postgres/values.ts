import type { StoredValue, ValueResult, ValueWrite } from "../../core/storage.js";
import { afterValueWrite, storedValue, type ValueEntry } from "../../core/stored-data.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { RowReader } from "./row-reader.js";

/** Values as one transaction sees and changes them. */
export class Values {
  readonly #entries = new Map<string, ValueEntry>();
  readonly #changed = new Set<string>();

  /** Locked against others until the transaction ends: those to be written, and shared those to be compared. */
  static async of(
    context: Context,
    session: Session,
    keys: { readonly written: readonly string[]; readonly compared?: readonly string[] },
  ): Promise<Values> {
    const { written, compared = [] } = keys;
    const values = new Values();
    const all = [...new Set([...written, ...compared])];
    if (all.length === 0) return values;
    const nameOf = (key: string) => `value ${key}`;
    const only = compared.filter((key) => !written.includes(key));
    await context.lock(session, written.map(nameOf));
    await context.lock(session, only.map(nameOf), "shared");
    const rows = await session.query(
      `select key, version::text, value from ${context.schema}.values where key = any($1::text[])`,
      [arrayText(all)],
    );
    for (const row of rows) {
      const read = new RowReader(row);
      const key = read.string();
      values.#entries.set(key, { version: read.number(), value: read.stringOrNull() });
    }
    return values;
  }

  versionOf(key: string): number {
    return storedValue(this.#entries.get(key))?.version ?? 0;
  }

  write(write: ValueWrite): ValueResult {
    const { entry, result } = afterValueWrite(this.#entries.get(write.key), write);
    if (entry === undefined || !result.ok) return result;
    this.#entries.set(write.key, entry);
    this.#changed.add(write.key);
    return result;
  }

  async store({ schema }: Context, session: Session): Promise<void> {
    if (this.#changed.size === 0) return;
    const changed = [...this.#changed].map((key) => ({ key, entry: this.#entries.get(key) }));
    await session.query(
      `insert into ${schema}.values (key, version, value) select * from unnest($1::text[], $2::bigint[], $3::text[]) ` +
        "on conflict (key) do update set version = excluded.version, value = excluded.value",
      [
        arrayText(changed.map(({ key }) => key)),
        arrayText(changed.map(({ entry }) => entry?.version ?? 0)),
        arrayText(changed.map(({ entry }) => entry?.value ?? null)),
      ],
    );
  }
}

export async function getValue(
  { driver, schema }: Context,
  key: string,
): Promise<StoredValue | undefined> {
  const [row] = await driver.query(
    `select version::text, value from ${schema}.values where key = $1 and value is not null`,
    [key],
  );
  if (row === undefined) return undefined;
  const read = new RowReader(row);
  const version = read.number();
  return { version, value: read.string() };
}

export function writeValue(context: Context, write: ValueWrite): Promise<ValueResult> {
  return context.driver.transaction(async (session) => {
    const values = await Values.of(context, session, { written: [write.key] });
    const result = values.write(write);
    await values.store(context, session);
    return result;
  });
}

export async function listValues(
  { driver, schema }: Context,
  prefix: string,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<(StoredValue & { key: string })[]> {
  const behind = behindAll(prefix);
  const parameters = [prefix, String(limit)];
  const bound = (sign: "<" | ">", key: string | undefined): string =>
    key === undefined ? "" : ` and key ${sign} $${parameters.push(key)}`;
  const bounds = bound("<", behind) + bound(">", after);
  const rows = await driver.query(
    `select key, version::text, value from ${schema}.values where value is not null and key >= $1 and starts_with(key, $1)` +
      `${bounds} order by key limit $2::bigint`,
    parameters,
  );
  return rows.map((row) => {
    const read = new RowReader(row);
    return { key: read.string(), version: read.number(), value: read.string() };
  });
}

/** The first text that comes after all with this prefix: the order of code points is that of the bytes. */
function behindAll(prefix: string): string | undefined {
  const points = [...prefix];
  const last = points.pop()?.codePointAt(0);
  // Of few keys more is read than needed.
  if (last === undefined || last === 0xd7ff || last === 0x10ffff) return undefined;
  return points.join("") + String.fromCodePoint(last + 1);
}
