import type {
  Driver,
  Parameter,
  Row,
  Session,
  Transaction,
} from "../../src/storage/postgres/driver.js";
import type { Heard } from "../../src/storage/postgres/hints.js";

/** A place in the adapter's work, by what it is about to send. */
type Place = RegExp | "commit";

interface Stop {
  readonly place: Place;
  reached(): void;
  readonly goOn: Promise<void>;
}

export interface Held {
  /** Settles when the adapter is there. */
  readonly reached: Promise<void>;
  goOn(): void;
}

/** Holds an adapter up between two statements, so that a test says what happens meanwhile. */
export class GateDriver implements Driver {
  readonly name = "pg";
  readonly #inner: Driver;
  readonly #stops: Stop[] = [];

  constructor(inner: Driver) {
    this.#inner = inner;
  }

  /** The next time that the adapter gets there. */
  holdAt(place: Place): Held {
    let reached = () => {};
    let goOn = () => {};
    const held = {
      reached: new Promise<void>((resolve) => {
        reached = resolve;
      }),
      goOn: () => goOn(),
    };
    const released = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    this.#stops.push({ place, reached, goOn: released });
    return held;
  }

  async query(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[]> {
    await this.#pass(text);
    return this.#inner.query(text, parameters);
  }

  async insert(text: string, parameters: readonly Parameter[]): Promise<number> {
    await this.#pass(text);
    return this.#inner.insert(text, parameters);
  }

  async planned(
    text: string,
    parameters: readonly Parameter[],
    once?: string,
  ): Promise<readonly Row[]> {
    await this.#pass(text);
    return this.#inner.planned(text, parameters, once);
  }

  script(text: string): Promise<void> {
    return this.#inner.script(text);
  }

  transaction<T>(work: (session: Transaction) => Promise<T>): Promise<T> {
    return this.#inner.transaction(async (session) => {
      const gated = {
        withCommit: (text) => session.withCommit(text),
        script: (text) => session.script(text),
        query: async (text, parameters) => {
          await this.#pass(text);
          return session.query(text, parameters);
        },
      } satisfies Session & Transaction;
      const answer = await work(gated);
      await this.#pass("commit");
      return answer;
    });
  }

  begin<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
    return this.#inner.begin(work);
  }

  within(tx: unknown): Session | undefined {
    return this.#inner.within(tx);
  }

  listen(channel: string, heard: Heard): Promise<() => Promise<void>> {
    return this.#inner.listen(channel, heard);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #pass(what: string): Promise<void> {
    const index = this.#stops.findIndex(({ place }) =>
      typeof place === "string" ? place === what : place.test(what),
    );
    const [stop] = index === -1 ? [] : this.#stops.splice(index, 1);
    stop?.reached();
    await stop?.goOn;
  }
}
