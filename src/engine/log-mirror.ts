type Debug = (text: string, data: string) => void;

let loading: Promise<Debug> | undefined;

/**
 * Shows a log line of a run where `DEBUG` asks for `pawl:log`. The package is
 * only loaded then: it would be a third of what importing Pawl costs.
 */
export function mirrorLog(text: string, data: string): void {
  if (!isWanted()) return;
  loading ??= import("debug").then(({ default: createDebug }) => createDebug("pawl:log"));
  void loading.then((log) => log(text, data));
}

/** There is no `process` on every runtime. */
function isWanted(): boolean {
  const host = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return host.process?.env?.DEBUG !== undefined;
}
