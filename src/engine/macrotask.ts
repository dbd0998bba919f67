/**
 * Calls back after all microtasks of now have run. One macrotask serves every
 * caller of a turn: a thousand executions cost one.
 */
let queue: (() => void)[] = [];

const schedule: (callback: () => void) => void =
  typeof setImmediate === "function"
    ? (callback) => void setImmediate(callback)
    : messageChannelScheduler();

export function afterMicrotasks(callback: () => void): void {
  queue.push(callback);
  if (queue.length === 1) schedule(runQueue);
}

export function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => afterMicrotasks(resolve));
}

function runQueue(): void {
  const due = queue;
  queue = [];
  for (const callback of due) callback();
}

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
