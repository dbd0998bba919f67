import type { Execution } from "./execution.js";

/** With credentials it is not: they are asked for anew each time the run goes on. */
export function mayBeKept({ engine, integrations }: Execution): boolean {
  return engine.maxParked > 0 && integrations.connections.size === 0;
}

/** Executions kept in memory while their runs are parked: bounded, least recently parked out first. */
export class ParkedFrames {
  readonly #frames = new Map<string, Execution>();
  readonly #most: number;
  readonly #evict: (frame: Execution) => void;

  constructor(most: number, evict: (frame: Execution) => void) {
    this.#most = most;
    this.#evict = evict;
  }

  keep(frame: Execution): void {
    if (!mayBeKept(frame)) {
      this.#evict(frame);
      return;
    }
    this.#frames.set(frame.runId, frame);
    if (this.#frames.size <= this.#most) return;
    const [oldest] = this.#frames.values();
    if (oldest === undefined) return;
    this.#frames.delete(oldest.runId);
    this.#evict(oldest);
  }

  take(runId: string): Execution | undefined {
    const frame = this.#frames.get(runId);
    this.#frames.delete(runId);
    return frame;
  }

  forget(frame: Execution): void {
    if (this.#frames.get(frame.runId) === frame) this.#frames.delete(frame.runId);
  }

  dropAll(): void {
    for (const frame of [...this.#frames.values()]) this.#evict(frame);
    this.#frames.clear();
  }
}
