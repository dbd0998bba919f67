import type { Client } from "../../src/index.js";
import type { Machine } from "./machine.js";
import type { Random } from "./random.js";
import type { World } from "./world.js";

/** What those need who act from outside. */
export interface Outside {
  readonly world: World;
  readonly random: Random;
  /** Nobody but the caller has anything to do any more. */
  isAlone(): boolean;
  later(delayMs: number, act: () => Promise<unknown>): void;
  pause(ms: number): Promise<void>;
  /** Asks one process after the other until one answers. */
  ask<T>(what: string, request: (client: Client, machine: Machine) => Promise<T>): Promise<T>;
}
