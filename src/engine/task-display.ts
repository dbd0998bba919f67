import type { TaskOptions } from "../core/io.js";
import type { TaskData } from "../core/task-data.js";

/** Display options as they are stored with the record. */
export function displayData(options: TaskOptions): TaskData {
  const { name, icon, description, style, properties, redact, params } = options;
  return {
    ...(name === undefined ? undefined : { name }),
    ...(icon === undefined ? undefined : { icon }),
    ...(description === undefined ? undefined : { description }),
    ...(style === undefined ? undefined : { style }),
    ...(properties === undefined ? undefined : { properties }),
    ...(redact === undefined ? undefined : { redact: redact.paths }),
    ...(params === undefined ? undefined : { params: displayText(params) }),
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
    options.params !== undefined
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
