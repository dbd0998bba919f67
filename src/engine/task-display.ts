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
  return displayOptions.some((name) => options[name] !== undefined);
}

const displayOptions = [
  "name",
  "icon",
  "description",
  "style",
  "properties",
  "redact",
  "params",
] as const;

/** Display data must never fail a task. */
function displayText(params: unknown): string {
  try {
    return JSON.stringify(params) ?? "null";
  } catch {
    return JSON.stringify("not shown: no JSON");
  }
}
