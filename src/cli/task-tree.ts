import type { AttemptView, TaskView } from "../core/run.js";
import { oneLine, printable } from "./printable.js";
import { span, time } from "./text.js";

/** A line per task, children below their parent, failed attempts below their task. */
export function taskTree(tasks: readonly TaskView[]): string {
  return branches(tasks, "").join("\n");
}

function branches(tasks: readonly TaskView[], indent: string): string[] {
  return tasks.flatMap((task, index) => {
    const isLast = index === tasks.length - 1;
    const below = `${indent}${isLast ? "   " : "│  "}`;
    return [
      `${indent}${isLast ? "└─ " : "├─ "}${taskLine(task)}`,
      ...failures(task).map((line) => `${below}${line}`),
      ...branches(task.tasks ?? [], below),
    ];
  });
}

function taskLine(task: TaskView): string {
  // From the first attempt on, so that pauses between attempts show.
  const startedAt = task.attempts[0]?.startedAt ?? task.startedAt;
  const parts = [printable(task.name ?? task.key), task.status];
  if (task.kind !== "task") parts.splice(1, 0, `(${task.kind})`);
  if (task.attempts.length > 1) parts.push(`${task.attempts.length} attempts`);
  if (task.availableAt !== undefined) parts.push(`until ${time(task.availableAt)}`);
  else if (startedAt !== undefined) parts.push(time(startedAt));
  if (startedAt !== undefined && task.finishedAt !== undefined)
    parts.push(`took ${span(startedAt, task.finishedAt)}`);
  if (task.childRunId !== undefined) parts.push(`run ${printable(task.childRunId)}`);
  return parts.join("  ");
}

function failures(task: TaskView): string[] {
  return task.attempts.filter(({ error }) => error !== undefined).map(failureLine);
}

function failureLine({ number, finishedAt, error }: AttemptView): string {
  return `  attempt ${number} failed at ${time(finishedAt)}: ${oneLine(error?.message ?? "")}`;
}
