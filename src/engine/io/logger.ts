import { toErrorRecord } from "../../core/error-record.js";
import type { Logger } from "../../core/io.js";
import { type LogLevel, logLevels } from "../../core/job.js";
import { cleanText } from "../../core/key.js";
import type { Scope } from "../scope.js";

/** Log lines of the run, attached to the task that writes them and stored with the next commit. */
export class ScopedLogger implements Logger {
  readonly #scope: () => Scope;

  constructor(scope: () => Scope) {
    this.#scope = scope;
  }

  debug(message: string, data?: unknown): void {
    write(this.#scope(), "debug", message, data);
  }

  info(message: string, data?: unknown): void {
    write(this.#scope(), "info", message, data);
  }

  log(message: string, data?: unknown): void {
    write(this.#scope(), "log", message, data);
  }

  warn(message: string, data?: unknown): void {
    write(this.#scope(), "warn", message, data);
  }

  error(message: string, data?: unknown): void {
    write(this.#scope(), "error", message, data);
  }
}

function write(scope: Scope, level: LogLevel, message: string, data: unknown): void {
  const { execution } = scope;
  const { engine, job } = execution;
  if (!execution.isLive || scope.isClosed) return;
  if (logLevels.indexOf(level) < logLevels.indexOf(job.options.logLevel ?? engine.logLevel)) return;
  const line = execution.logs.next(`${scope.path}#${scope.tag}`, {
    path: scope.path,
    level,
    message: messageText(message),
    data: dataText(data),
    at: engine.storeClock.now(),
  });
  if (line === undefined) return;
  execution.writer.pending.logs.push(line);
  engine.mirrorLog(execution, line);
}

function messageText(message: unknown): string {
  try {
    return cleanText(String(message));
  } catch {
    return "not shown: no text";
  }
}

/** A log line must never fail a run, whatever is logged. */
function dataText(data: unknown): string | null {
  if (data === undefined) return null;
  try {
    const plain = data instanceof Error ? toErrorRecord(data) : data;
    return (
      JSON.stringify(plain, (_, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ) ?? null
    );
  } catch (error) {
    return JSON.stringify(`not shown: ${String(error)}`);
  }
}
