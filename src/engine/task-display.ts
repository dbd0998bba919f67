import type { TaskOptions } from "../core/io.js";
import type { TaskData } from "../core/task-data.js";

/** What of a task's options is stored with its record. */
export interface StoredOptions extends TaskOptions {
  readonly deadlineAt?: number;
}

export function displayData(options: StoredOptions): TaskData {
  const { name, icon, description, style, properties, redact, params, deadlineAt, connectionKey } =
    options;
  return {
    ...(name === undefined ? undefined : { name }),
    ...(icon === undefined ? undefined : { icon }),
    ...(description === undefined ? undefined : { description }),
    ...(style === undefined ? undefined : { style }),
    ...(properties === undefined ? undefined : { properties }),
    ...(redact === undefined ? undefined : { redact: redact.paths }),
    ...(params === undefined ? undefined : { params: displayText(params) }),
    ...(connectionKey === undefined ? undefined : { connectionKey }),
    ...(deadlineAt === undefined ? undefined : { deadlineAt }),
  };
}

export function hasDisplay(options: TaskOptions): boolean {
  // On the path of every task: a loop over names would look each of them up by hash.
  return (
    options.name !== undefined ||
    options.icon !== undefined ||
    options.description !== undefined ||
    options.style !== undefined ||
    options.properties !== undefined ||
    options.redact !== undefined ||
    options.params !== undefined ||
    options.connectionKey !== undefined
  );
}

/** Display data must never fail a task. */
function displayText(params: unknown): string {
  try {
    return JSON.stringify(params) ?? "null";
  } catch {
    return JSON.stringify("not shown: no JSON");
  }
}
