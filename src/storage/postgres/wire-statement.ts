import type { Row } from "./driver.js";
import type { PgConnection } from "./pg-pool.js";

export interface WireStatement {
  readonly text: string;
  readonly values: (string | null)[];
  /** It is prepared. */
  readonly name: string;
  /** A statement without parameters that is sent before it, in the same message and transaction. Its answer is left out. */
  readonly before?: string;
}

export interface WireAnswer {
  readonly rows: readonly Row[];
  /** How many rows were inserted, updated or selected. */
  readonly count: number;
}

type Callback = (error: Error | null, answer: WireAnswer) => void;

/** Of a connection of `pg` what its cursors use, too: it sends messages. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  /** Texts by name. */
  readonly parsedStatements: Readonly<Record<string, string>>;
  parse(message: { readonly name: string; readonly text: string }): void;
  bind(message: { readonly statement: string; readonly values: (string | null)[] }): void;
  execute(message: object): void;
  sync(): void;
}

/** What a client of `pg` has, and its types do not tell. */
interface WireClient {
  readonly connection?: Partial<Wire>;
  /** Such a client takes no statements but its own. */
  readonly pipeline?: boolean;
  query(statement: SentStatement): unknown;
}

/** Undefined: a client by another library under the same interface, or one that takes no statements but its own. */
export function askOnWire(
  connection: PgConnection,
  statement: WireStatement,
): Promise<WireAnswer> | undefined {
  const client = connection as unknown as WireClient;
  if (!takesStatements(client)) return undefined;
  return new Promise((resolve, reject) => {
    const answered: Callback = (error, answer) => {
      if (error === null) resolve(answer);
      else reject(error);
    };
    client.query(new SentStatement(statement, answered));
  });
}

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
const noRows: readonly Row[] = [];

/**
 * What `pg` takes in place of a configuration, as it takes a cursor. Its own statement copies the configuration
 * property by property, is an event emitter, and asks the server to describe the rows: together a tenth of a commit.
 * Nor does it send two statements in one message; up to the one Sync of both they are one transaction.
 */
class SentStatement {
  readonly text: string;
  /** `pg` puts another one around it if the pool has a `query_timeout`. */
  callback: Callback;
  readonly #statement: WireStatement;
  #isBefore: boolean;
  #rows: Row[] | undefined;
  #count = 0;

  constructor(statement: WireStatement, callback: Callback) {
    this.text = statement.text;
    this.callback = callback;
    this.#statement = statement;
    this.#isBefore = statement.before !== undefined;
  }

  /** What `pg` takes for parsed when the server says so: the statement before has no name. */
  get name(): string | undefined {
    return this.#isBefore ? undefined : this.#statement.name;
  }

  submit(wire: Wire): Error | null {
    const { name, text, values, before } = this.#statement;
    // In one packet.
    wire.stream.cork();
    try {
      if (before !== undefined) {
        wire.parse({ name: "", text: before });
        wire.bind({ statement: "", values: [] });
        wire.execute(allRows);
      }
      if (wire.parsedStatements[name] === undefined) wire.parse({ name, text });
      wire.bind({ statement: name, values });
      wire.execute(allRows);
      wire.sync();
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleDataRow({ fields }: { readonly fields: Row }): void {
    if (this.#isBefore) return;
    this.#rows ??= [];
    this.#rows.push(fields);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    // "INSERT 0 1"
    if (!this.#isBefore) this.#count = Number(text.slice(text.lastIndexOf(" ") + 1));
    this.#isBefore = false;
  }

  handleReadyForQuery(): void {
    this.callback(null, { rows: this.#rows ?? noRows, count: this.#count });
  }

  handleError(error: Error): void {
    this.callback(error, { rows: noRows, count: 0 });
  }

  // None of these is asked for.
  handleRowDescription(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
}
