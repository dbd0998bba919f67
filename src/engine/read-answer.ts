import { PayloadError } from "../core/errors.js";
import type { Answer } from "../core/fetch-rules.js";
import { bodyData } from "../core/http-body.js";
import { isSuccess } from "../core/status-pattern.js";

export interface AnswerReading {
  readonly cap: number;
  /** How error texts call the request. */
  readonly what: string;
  /** Ends the reading; what it gives then is nobody's. */
  readonly signal: AbortSignal;
}

/**
 * An answer as data. A body over the cap is refused, for it could not be stored; that of a failure
 * is cut, since it only explains.
 */
export async function readAnswer(
  response: Response,
  { cap, what, signal }: AnswerReading,
): Promise<Answer> {
  const { status } = response;
  const headers = headersOf(response.headers);
  const { bytes, isCut } = await readBody(response.body, cap, signal);
  if (isCut && isSuccess(status)) {
    throw new PayloadError(
      "VALUE_TOO_LARGE",
      `The answer to ${what} has more than ${cap} bytes, which is as much as a record may have. Fetch less, or fetch it in a task that keeps it elsewhere; caps.taskOutputBytes of createClient raises the cap.`,
    );
  }
  return { status, headers, data: bodyData(bytes, headers["content-type"], isCut) };
}

/** Repeated ones are joined, as `Headers.get` does. */
function headersOf(headers: Headers): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of headers) {
    const earlier = Object.hasOwn(all, name) ? `${all[name]}, ` : "";
    Object.defineProperty(all, name, {
      value: earlier + value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return all;
}

interface Body {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly isCut: boolean;
}

async function readBody(body: Response["body"], cap: number, signal: AbortSignal): Promise<Body> {
  if (body === null) return { bytes: new Uint8Array(), isCut: false };
  const reader = body.getReader();
  // Not waited for: what is left may never come.
  const hangUp = () => void reader.cancel().catch(() => {});
  // Not left to the fetch function, which may not heed its signal.
  if (signal.aborted) hangUp();
  else signal.addEventListener("abort", hangUp);
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length <= cap) {
    const { done, value } = await reader.read();
    if (done) return { bytes: joined(chunks, length), isCut: false };
    chunks.push(value);
    length += value.length;
  }
  hangUp();
  return { bytes: joined(chunks, length).subarray(0, cap), isCut: true };
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
