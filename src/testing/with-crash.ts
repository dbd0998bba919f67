import type { RunWrite, Storage } from "../core/storage.js";
import { aroundMethods } from "./storage-methods.js";

/** Where the process dies. */
export interface CrashPoint {
  /** The n-th call of `commit`, from 1. */
  readonly commit: number;
  /** "before": what the call would have written is lost. "after": it is written, and nobody hears of it. */
  readonly when: "before" | "after";
}

/** Decides by what a commit holds. Called once per commit, before it. */
export type CrashPlan = (writes: readonly RunWrite[]) => CrashPoint["when"] | undefined;

/**
 * The same storage, for a process that dies at a chosen commit: that call and
 * every later one are never answered, as a killed process never hears an
 * answer. Open another instance on the same data to go on as the next process.
 *
 * @param onCrash called once, when the process dies
 * @example
 * const data = new MemoryData();
 * const first = createClient({ storage: withCrash(memory({ data }), { commit: 2, when: "after" }), clock });
 * // … let it run, then take over what it left once its lease is over:
 * const second = createClient({ storage: memory({ data }), clock });
 */
export function withCrash(
  storage: Storage,
  point: CrashPoint | CrashPlan,
  onCrash?: () => void,
): Storage {
  const plan = typeof point === "function" ? point : atCommit(point);
  let crashed = false;
  return aroundMethods(storage, async (name, call, args) => {
    if (crashed) return silence();
    const when = name === "commit" ? plan(args[0] as readonly RunWrite[]) : undefined;
    if (when === undefined) return answer(call);
    crashed = true;
    if (when === "after") await call();
    onCrash?.();
    return silence();
  });

  /** What was under way when the process died is not heard of either. */
  async function answer(call: () => Promise<unknown>): Promise<unknown> {
    const value = await call();
    return crashed ? silence() : value;
  }
}

function atCommit({ commit, when }: CrashPoint): CrashPlan {
  let calls = 0;
  return () => (++calls === commit ? when : undefined);
}

function silence(): Promise<never> {
  return new Promise(() => {});
}
