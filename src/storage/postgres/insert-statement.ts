import type { PgConnection } from "./pg-pool.js";

/** `name` is missing where statements are not prepared. */
export interface Insert {
  readonly text: string;
  readonly values: (string | null)[];
  readonly name?: string;
}

type Callback = (error: Error | null, rows: number) => void;

/** Of a connection of `pg` what its cursors use, too: it sends messages. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  /** Texts by name. */
  readonly parsedStatements: Readonly<Record<string, string>>;
  parse(message: { readonly name: string; readonly text: string }): void;
  bind(message: { readonly statement: string; readonly values: Insert["values"] }): void;
  execute(message: object): void;
  sync(): void;
}

/** What a client of `pg` has, and its types do not tell. */
interface WireClient {
  readonly connection?: Partial<Wire>;
  /** Such a client takes no statements but its own. */
  readonly pipeline?: boolean;
  query(statement: InsertStatement): unknown;
}

/** A prepared insert. Answers how many rows there are. */
export function insertOn(connection: PgConnection, insert: Insert): Promise<number> {
  const { name } = insert;
  const client = connection as unknown as WireClient;
  if (name === undefined || !takesStatements(client)) return insertPlainly(connection, insert);
  return new Promise((resolve, reject) => {
    const answered: Callback = (error, rows) => (error === null ? resolve(rows) : reject(error));
    client.query(new InsertStatement({ ...insert, name }, answered));
  });
}

export async function insertPlainly(
  target: Pick<PgConnection, "query">,
  insert: Insert & { readonly query_timeout?: number },
): Promise<number> {
  const { rowCount } = await target.query(insert);
  return rowCount ?? 0;
}

/** False for a client by another library under the same interface. */
function takesStatements({ connection, pipeline }: WireClient): boolean {
  return (
    pipeline !== true &&
    typeof connection?.parse === "function" &&
    typeof connection.bind === "function" &&
    typeof connection.execute === "function" &&
    typeof connection.sync === "function" &&
    typeof connection.stream?.cork === "function" &&
    typeof connection.parsedStatements === "object"
  );
}

const allRows = {};

/**
 * What `pg` takes in place of a configuration, as it takes a cursor. Its own statement copies the configuration
 * property by property, is an event emitter, and asks the server to describe rows that never come: together a tenth of
 * a commit.
 */
class InsertStatement {
  readonly name: string;
  readonly text: string;
  /** `pg` puts another one around it if the pool has a `query_timeout`. */
  callback: Callback;
  readonly #values: Insert["values"];
  #rows = 0;

  constructor({ name, text, values }: Required<Insert>, callback: Callback) {
    this.name = name;
    this.text = text;
    this.callback = callback;
    this.#values = values;
  }

  submit(wire: Wire): Error | null {
    const { name, text } = this;
    // In one packet.
    wire.stream.cork();
    try {
      if (wire.parsedStatements[name] === undefined) wire.parse({ name, text });
      wire.bind({ statement: name, values: this.#values });
      wire.execute(allRows);
      wire.sync();
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    // "INSERT 0 1"
    this.#rows = Number(text.slice(text.lastIndexOf(" ") + 1));
  }

  handleReadyForQuery(): void {
    this.callback(null, this.#rows);
  }

  handleError(error: Error): void {
    this.callback(error, 0);
  }

  // An insert without `returning` has none of these.
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
}
