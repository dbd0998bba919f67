import { TaskError } from "../core/errors.js";
import type { Answer } from "../core/fetch-rules.js";
import type { Redaction } from "../core/redaction.js";

const longestExcerpt = 200;

/** Carries status and body, bounded and without secrets. `more` is a sentence for the text. */
export function unexpectedAnswer(
  redaction: Redaction,
  { status, data }: Answer,
  what: string,
  more: string,
): TaskError {
  const body = data instanceof Uint8Array ? `${data.length} bytes` : redaction.data(data);
  return new TaskError(
    "FETCH_ANSWER_UNEXPECTED",
    `${what} was answered ${status}${excerptOf(body)}. ${more}`,
    { details: { status, ...(body === undefined ? undefined : { body }) } },
  );
}

function excerptOf(body: unknown): string {
  if (body === undefined || body === "") return "";
  const text = (typeof body === "string" ? body : JSON.stringify(body)).replace(/\s+/g, " ").trim();
  return `: ${text.length > longestExcerpt ? `${text.slice(0, longestExcerpt)}…` : text}`;
}
