import type { Clock } from "../core/clock.js";
import { isPawlError, StorageError } from "../core/errors.js";
import type { Storage } from "../core/storage.js";
import { randomFraction } from "./ids.js";

const LONGEST_PAUSE_MS = 2_000;

/** Storage errors that time does not heal. */
const LASTING = [
  "STORAGE_CLOSED",
  "STORAGE_NEWER",
  "STORAGE_CORRUPT",
  "STORAGE_INVALID",
  "VALUE_TOO_LARGE",
] as const;

/** A call of the storage, and who hears of it. */
export interface Request<T> {
  send(): Promise<T>;
  answered(answer: T): void;
  failed(error: unknown): void;
}

/**
 * Repeats a storage call until it answers (contract E18): pauses grow to two
 * seconds, jittered, on the injected clock. The call must carry an id of its
 * own (writeId, claimId, createId), since its first answer may have been lost.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #onTrouble: (error: unknown) => void;
  #gaveUp: StorageError | undefined;
  readonly #pauses = new Set<() => void>();

  constructor(clock: Clock, onTrouble: (error: unknown) => void) {
    this.#clock = clock;
    this.#onTrouble = onTrouble;
  }

  until<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) =>
      this.whenAnswered({ send: call, answered: resolve, failed: reject }),
    );
  }

  /** For what every task goes through: makes no promise of its own, since each is felt there. */
  whenAnswered<T>(request: Request<T>, over?: () => void): void {
    firstAnswer(request).then(
      (answer) => {
        this.#failures = 0;
        this.#tell(() => settle(request, answer), over);
      },
      (error) => {
        void this.#again(request, error).then((tell) => this.#tell(tell, over));
      },
    );
  }

  /** Who fails of being told that it failed is in trouble; the call is over all the same. */
  #tell(tell: () => void, over: (() => void) | undefined): void {
    try {
      tell();
    } catch (error) {
      this.#onTrouble(error);
    }
    over?.();
  }

  /** Ends all pauses; what still has no answer rejects. */
  giveUp(): void {
    this.#gaveUp = new StorageError(
      "STORAGE_CLOSED",
      "The client was stopped while the storage did not answer.",
    );
    for (const endPause of this.#pauses) endPause();
  }

  /** Answers with how to tell what came of it. */
  async #again<T>(request: Request<T>, first: unknown): Promise<() => void> {
    try {
      const answer = await this.#answerAfter(first, () => request.send());
      return () => settle(request, answer);
    } catch (error) {
      return () => request.failed(error);
    }
  }

  async #answerAfter<T>(first: unknown, call: () => Promise<T>): Promise<T> {
    if (isLasting(first)) throw first;
    this.#report(first);
    // p-retry is only loaded when something went wrong.
    const { default: pRetry, AbortError } = await import("p-retry");
    const attempt = async (): Promise<T> => {
      if (this.#gaveUp !== undefined) throw new AbortError(this.#gaveUp);
      await this.#pause();
      try {
        const answer = await call();
        this.#failures = 0;
        return answer;
      } catch (error) {
        if (isLasting(error)) throw new AbortError(error as Error);
        this.#report(error);
        // p-retry takes a TypeError for a bug and gives up; here any failure may be the driver's.
        throw new Error("storage call failed", { cause: error });
      }
    };
    return pRetry(attempt, { retries: Number.POSITIVE_INFINITY, minTimeout: 0, maxTimeout: 0 });
  }

  /** Since the last answer. */
  #failures = 0;

  #report(error: unknown): void {
    this.#failures++;
    this.#onTrouble(error);
  }

  async #pause(): Promise<void> {
    const longest = Math.min(LONGEST_PAUSE_MS, 10 * 2 ** Math.min(this.#failures, 10));
    await new Promise<void>((resolve) => {
      const end = () => {
        this.#pauses.delete(end);
        disarm();
        resolve();
      };
      const disarm = this.#clock.setTimer(longest * (0.5 + randomFraction() / 2), end);
      this.#pauses.add(end);
    });
  }
}

/** Who asked may fail of the answer: then it is told so. */
function settle<T>(request: Request<T>, answer: T): void {
  try {
    request.answered(answer);
  } catch (error) {
    request.failed(error);
  }
}

/** A storage may also throw instead of answering with a rejection. */
function firstAnswer<T>(request: Request<T>): Promise<T> {
  try {
    return Promise.resolve(request.send());
  } catch (error) {
    return Promise.reject(error);
  }
}

function isLasting(error: unknown): boolean {
  return LASTING.some((code) => isPawlError(error, code)) || isReadonlyByOption(error);
}

/** A disk that can only be read for now may change; what was opened so on purpose does not. */
function isReadonlyByOption(error: unknown): boolean {
  return isPawlError(error, "STORAGE_READONLY") && error.details?.option === "readonly";
}

/** The calls of a storage that the engine makes under ids, made patient. */
export function patientStorage(
  storage: Storage,
  patience: Patience,
): Pick<Storage, "claimRuns" | "listTasks" | "listSignals" | "getRuns"> {
  return {
    claimRuns: (request) => patience.until(() => storage.claimRuns(request)),
    listTasks: (runId, afterSeq, budget) =>
      patience.until(() => storage.listTasks(runId, afterSeq, budget)),
    listSignals: (runId) => patience.until(() => storage.listSignals(runId)),
    getRuns: (ids) => patience.until(() => storage.getRuns(ids)),
  };
}
