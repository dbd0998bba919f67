let queue: (() => void)[] = [];
/** Macrotasks that were asked for and have not come. */
let coming = 0;
/** How many to ask for at once. */
let burst = 1;
const LARGEST_BURST = 16;

const schedule: (callback: () => void) => void =
  typeof setImmediate === "function"
    ? (callback) => void setImmediate(callback)
    : messageChannelScheduler();

/**
 * Calls back after all microtasks of now have run. One macrotask serves every
 * caller of a turn: a thousand executions cost one. Node runs all immediates
 * that it knows in one turn of its event loop, with the microtasks in between;
 * so where one macrotask follows the other, as in a replay, several are asked
 * for beforehand, and a turn, which costs more than a replayed task, is only
 * taken for each burst of them.
 */
export function afterMicrotasks(callback: () => void): void {
  queue.push(callback);
  if (coming > 0) return;
  coming = burst;
  for (let i = 0; i < burst; i++) schedule(onMacrotask);
}

/** In the next turn of the event loop, after everybody else had theirs: for work that takes its time. */
export function nextTurn(callback: () => void): void {
  schedule(callback);
}

export function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => afterMicrotasks(resolve));
}

function onMacrotask(): void {
  coming--;
  const due = queue;
  if (due.length === 0) {
    burst = 1;
    return;
  }
  queue = [];
  if (coming === 0 && burst < LARGEST_BURST) burst *= 2;
  for (const callback of due) callback();
}

/**
 * Calls back when no microtask is left, if asked by a microtask, and still in
 * this turn of the event loop: a turn costs a tenth of a commit. Others must get
 * theirs, so the caller takes a whole turn now and then.
 */
export const laterThisTurn: (callback: () => void) => void =
  typeof process === "object" && typeof process.nextTick === "function"
    ? (callback) => process.nextTick(callback)
    : afterMicrotasks;

/** Browsers and workers have no setImmediate, and their setTimeout waits for milliseconds. */
function messageChannelScheduler(): (callback: () => void) => void {
  const waiting: (() => void)[] = [];
  const channel = new MessageChannel();
  channel.port1.addEventListener("message", () => waiting.shift()?.());
  channel.port1.start();
  return (callback) => {
    waiting.push(callback);
    channel.port2.postMessage(undefined);
  };
}
