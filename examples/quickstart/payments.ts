import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Stands for a payment service somewhere else: it fails now and then, and knows a repeated call by its key. */
export class PaymentService {
  readonly #payments = new Map<string, string>();
  #calls = 0;
  #failures = 0;

  readonly #server = createServer((request, response) => {
    const key = String(request.headers["idempotency-key"]);
    request.resume().on("end", () => {
      this.#calls++;
      if (!this.#payments.has(key)) {
        if (this.#calls % 8 === 0) {
          this.#failures++;
          response.writeHead(503).end();
          return;
        }
        this.#payments.set(key, `payment-${this.#payments.size + 1}`);
      }
      response.end(this.#payments.get(key));
    });
  });

  get summary(): string {
    return `${this.#payments.size} payments, ${this.#calls} calls, ${this.#failures} answered 503`;
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
