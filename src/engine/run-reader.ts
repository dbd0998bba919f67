import type { RunRecord, Storage } from "../core/storage.js";
import { afterMicrotasks } from "./macrotask.js";

interface Request {
  readonly id: string;
  readonly resolve: (run: RunRecord | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_IDS = 500;

/** Reads runs by id; what is asked for in one turn goes out in one call. */
export class RunReader {
  readonly #storage: Pick<Storage, "getRuns">;
  #requests: Request[] = [];

  constructor(storage: Pick<Storage, "getRuns">) {
    this.#storage = storage;
  }

  read(id: string): Promise<RunRecord | undefined> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ id, resolve, reject });
      if (this.#requests.length === 1) afterMicrotasks(() => this.#send());
    });
  }

  #send(): void {
    const requests = this.#requests;
    this.#requests = [];
    for (let start = 0; start < requests.length; start += MAX_IDS) {
      void this.#sendPage(requests.slice(start, start + MAX_IDS));
    }
  }

  async #sendPage(requests: readonly Request[]): Promise<void> {
    try {
      const runs = await this.#storage.getRuns(requests.map(({ id }) => id));
      for (const [index, { resolve }] of requests.entries()) resolve(runs[index]);
    } catch (error) {
      for (const { reject } of requests) reject(error);
    }
  }
}
