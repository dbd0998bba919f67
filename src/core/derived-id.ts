import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/**
 * Id of an effect that a run makes: the same in every execution that gets to
 * the same place, so a crash between effect and record makes no second one
 * (contract E9). `scope` is the generation and the attempts of all enclosing
 * tasks. The parts are joined as JSON, since keys may contain any separator.
 */
export function derivedId(purpose: string, runId: string, path: string, scope: string): string {
  return hash([purpose, runId, path, scope]).slice(0, 40);
}

/** The same over attempts and executions: only run and path count. */
export function taskIdempotencyKey(runId: string, path: string): string {
  return hash(["task", runId, path]);
}

/** Tells whether two invokes with one idempotency key mean the same. */
export function fingerprintOf(payload: string): string {
  return hash(["payload", payload]).slice(0, 32);
}

/** Stands for a path and a value of a filter where they would be too long. */
export function topicHash(path: string, value: string): string {
  return hash(["topic", path, value]).slice(0, 32);
}

/** Names a statement, the same in every copy of the library: two may share a connection. */
export function statementName(text: string): string {
  return `pawl_${hash(["statement", text]).slice(0, 24)}`;
}

function hash(parts: readonly string[]): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(parts))));
}
