import { type Account, accounts, integration, LINKED, type Service, waitingFor } from "./linked.js";
import type { Outside } from "./outside.js";
import type { Program } from "./program.js";
import { Violation } from "./violation.js";

/** Accounts connect the service late, some of them twice. */
const FIRST_MS = 30_000;
const LAST_MS = 60_000;

export class LinkedDriver {
  readonly #outside: Outside;
  readonly #service: Service;
  readonly #program: () => Program;

  constructor(outside: Outside, service: Service, program: () => Program) {
    this.#outside = outside;
    this.#service = service;
    this.#program = program;
  }

  plan(): void {
    const { random, later } = this.#outside;
    for (let count = random.between(2, 4); count > 0; count--)
      later(random.int(FIRST_MS), () => this.#invoke(random.pick(accounts)));
    for (const account of accounts) {
      if (random.chance(0.4)) {
        later(random.int(FIRST_MS), () => this.#connect(account));
        later(random.int(FIRST_MS), async () => this.#service.disconnect(account));
      }
      later(random.between(FIRST_MS, LAST_MS), () => this.#connect(account));
    }
  }

  async #invoke(accountId: Account): Promise<void> {
    const program = this.#program();
    const options = { accountId, idempotencyKey: program.id };
    await this.#outside.ask(`linked ${program.id}`, (client) =>
      client.invoke(LINKED, { program }, options),
    );
  }

  /** Whoever waits when it is said that the connection is ready is due when that is answered. */
  async #connect(account: Account): Promise<void> {
    const { ask, world } = this.#outside;
    this.#service.connect(account);
    const waiting = waitingFor(world.view, account);
    await ask(`ready ${account}`, (client) =>
      client.connectionReady(integration, { accountId: account }),
    );
    this.#service.isReady(account);
    for (const [id, epoch] of waitingFor(world.view, account)) {
      const dueAt = world.view.run(id)?.dueAt ?? Number.POSITIVE_INFINITY;
      if (waiting.get(id) === epoch && dueAt > world.now)
        throw new Violation("CONNECTION", `run ${id} waits on after ${account} was ready`);
    }
  }
}
