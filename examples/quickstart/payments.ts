import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Stands for a payment service somewhere else: it knows a repeated call by its key. Of every eighth payment
 * the first call fails. Were it every eighth call, some payment might meet nothing but failures.
 */
export class PaymentService {
  readonly #payments = new Map<string, string>();
  readonly #keys = new Set<string>();
  #calls = 0;
  #failures = 0;

  readonly #server = createServer((request, response) => {
    const key = String(request.headers["idempotency-key"]);
    request.resume().on("end", () => {
      this.#calls++;
      if (!this.#keys.has(key)) {
        this.#keys.add(key);
        if (this.#keys.size % 8 === 0) {
          this.#failures++;
          response.writeHead(503).end();
          return;
        }
      }
      const payment = this.#payments.get(key) ?? `payment-${this.#payments.size + 1}`;
      this.#payments.set(key, payment);
      response.end(payment);
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
