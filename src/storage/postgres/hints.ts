import type { Driver } from "./driver.js";

const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const usual: Patience = { aliveForMs: 20_000, echoWithinMs: 5_000 };
const ECHO = "echo";

interface Patience {
  /** So long the subscription counts as alive after it was heard. */
  readonly aliveForMs: number;
  /** An echo that takes longer will not come. */
  readonly echoWithinMs: number;
}

/**
 * Tells the workers of other processes that runs have become due, by LISTEN on
 * a connection of its own and NOTIFY with the commit that made them due.
 *
 * A connection may be dead without anybody being told (contract E15), so it
 * proves itself: a poll of the worker sends an echo now and then, and if that
 * does not come back the connection is replaced. As long as there is none,
 * subscribers are told to look every two seconds.
 */
export class Hints {
  readonly channel: string;
  /** Own hints come back as well: this process knows. */
  readonly #sender = crypto.randomUUID();
  readonly #driver: Driver;
  readonly #subscribers = new Set<(dueAt?: number) => void>();
  readonly #patience: Patience;
  #connection: Connection | undefined;

  /** @param schema clients with the same schema hear each other */
  constructor(driver: Driver, schema: string, patience: Patience = usual) {
    this.#driver = driver;
    this.#patience = patience;
    this.channel = `pawl_${schema}`;
  }

  /** What a notification says of runs that are due at this instant. */
  payload(dueAt: number, to: "all" | "others" = "others"): string {
    return `${to === "all" ? "-" : this.#sender} ${dueAt}`;
  }

  /** What a poll should send to learn whether the subscription is alive; null if that is known. */
  echo(): string | null {
    return this.#connection?.wantsEcho() === true ? `${this.#sender} ${ECHO}` : null;
  }

  async subscribe(onHint: (dueAt?: number) => void): Promise<() => Promise<void>> {
    const subscriber = (dueAt?: number): void => onHint(dueAt);
    this.#subscribers.add(subscriber);
    this.#connection ??= new Connection(
      (heard) => this.#driver.listen(this.channel, heard),
      (payload) => this.#received(payload),
      this.#patience,
    );
    await this.#connection.opened;
    return async () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) await this.close();
    };
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  /** Without a payload: something may have been missed. */
  #received(payload: string | undefined): void {
    const [sender, dueAt] = payload?.split(" ") ?? [];
    if (sender === this.#sender) return;
    for (const onHint of this.#subscribers) onHint(dueAt === undefined ? undefined : Number(dueAt));
  }
}

/** What is heard on a connection that listens. */
export interface Heard {
  notified(payload: string): void;
  ended(): void;
}

/** Listens until it is closed, on one connection after the other. */
class Connection {
  readonly opened: Promise<void>;
  readonly #listen: (heard: Heard) => Promise<() => Promise<void>>;
  readonly #received: (payload: string | undefined) => void;
  readonly #patience: Patience;
  #end: (() => Promise<void>) | undefined;
  #isClosed = false;
  #heardAt = Number.NEGATIVE_INFINITY;
  #pauseMs = SHORTEST_PAUSE_MS;
  #pause: NodeJS.Timeout | undefined;
  #echoDue: NodeJS.Timeout | undefined;
  /** What the ones before still say is no news. */
  #number = 0;

  constructor(
    listen: (heard: Heard) => Promise<() => Promise<void>>,
    received: (payload: string | undefined) => void,
    patience: Patience,
  ) {
    this.#listen = listen;
    this.#patience = patience;
    this.#received = received;
    this.opened = this.#open();
  }

  wantsEcho(): boolean {
    const { aliveForMs, echoWithinMs } = this.#patience;
    if (this.#end === undefined || performance.now() - this.#heardAt < aliveForMs) return false;
    this.#echoDue ??= setTimeout(() => this.#replace(), echoWithinMs).unref();
    return true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forget();
    await this.opened;
    await this.#endCurrent();
  }

  async #open(): Promise<void> {
    const number = ++this.#number;
    const isCurrent = () => number === this.#number && !this.#isClosed;
    try {
      const end = await this.#listen({
        notified: (payload) => {
          if (!isCurrent()) return;
          this.#heard();
          this.#received(payload);
        },
        ended: () => {
          if (isCurrent()) this.#replace();
        },
      });
      if (!isCurrent()) return await end().catch(() => {});
      this.#end = end;
      this.#pauseMs = SHORTEST_PAUSE_MS;
      this.#heard();
      // Notifications before this moment went to nobody.
      this.#received(undefined);
    } catch {
      // The calls of the storage say what is wrong with the server.
      if (isCurrent()) this.#replace();
    }
  }

  #heard(): void {
    this.#heardAt = performance.now();
    clearTimeout(this.#echoDue);
    this.#echoDue = undefined;
  }

  #replace(): void {
    this.#forget();
    void this.#endCurrent();
    const pauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    this.#pause = setTimeout(() => {
      this.#received(undefined);
      void this.#open();
    }, pauseMs).unref();
  }

  #forget(): void {
    this.#number++;
    clearTimeout(this.#pause);
    clearTimeout(this.#echoDue);
    this.#echoDue = undefined;
  }

  async #endCurrent(): Promise<void> {
    const end = this.#end;
    this.#end = undefined;
    // It may be dead already.
    await end?.().catch(() => {});
  }
}
