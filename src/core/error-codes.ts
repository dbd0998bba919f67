/** What part of the library an error is about. It decides the subclass: `ConfigError`, `PayloadError`, … */
export type ErrorConcern = "config" | "payload" | "task" | "run" | "storage";

interface ErrorCodeEntry {
  readonly concern: ErrorConcern;
  readonly help: string;
}

/**
 * Every code that a `PawlError` can carry. Codes are stable: programs branch on them, and texts may change.
 * `help` says when it happens and what to do.
 */
export const errorCodes = {
  JOB_ID_INVALID: {
    concern: "config",
    help: "A job id is not 1-128 characters of A-Z a-z 0-9 . _ ~ -; choose an id of these characters.",
  },
  JOB_DUPLICATE: {
    concern: "config",
    help: "Two jobs of one client share an id; rename one, or pass `reload: true` to createClient when a hot reload defines them again.",
  },
  AUTH_RESOLVER_DUPLICATE: {
    concern: "config",
    help: "A client got two auth resolvers for one integration; define one, which may look at `context` and the integration, or pass `reload: true` to createClient when a hot reload defines it again.",
  },
  JOB_NOT_ATTACHED: {
    concern: "config",
    help: "job.invoke was called on a job that no client in this process has; pass it to createClient({ jobs }) or client.attach(job).",
  },
  JOB_AMBIGUOUS: {
    concern: "config",
    help: "job.invoke was called on a job that several clients have; call client.invoke(job, …) on the one you mean.",
  },
  JOB_DISABLED: {
    concern: "config",
    help: "The job is defined with `enabled: false` and takes no new runs; enable it, or do not invoke it.",
  },
  JOB_UNKNOWN: {
    concern: "config",
    help: "No job with this id is registered in the storage; check the id, or start a client that defines the job.",
  },
  TRIGGER_INVALID: {
    concern: "config",
    help: "A trigger's options are wrong (name, cron expression, time zone, interval); correct the option that the text names.",
  },
  FILTER_INVALID: {
    concern: "config",
    help: "A filter has an unknown operator, two operators in one object, or a value that cannot be compared; correct the place that the text names.",
  },
  OPTION_INVALID: {
    concern: "config",
    help: "An option has a value of the wrong type or out of range; correct the option that the text names.",
  },
  OPTION_UNKNOWN: {
    concern: "config",
    help: "An option name does not exist, so it would have been ignored; check its spelling.",
  },
  VERSION_INVALID: {
    concern: "config",
    help: "A job's version is not of the form x.y.z with whole numbers; correct it.",
  },
  INTEGRATION_KEY_RESERVED: {
    concern: "config",
    help: "An integration's key is the name of an `io` method, which it would hide; choose another key.",
  },
  SCHEMA_UNRECOGNIZED: {
    concern: "config",
    help: "A schema neither follows Standard Schema nor has `safeParse`; pass a schema of zod, valibot, arktype or the like.",
  },
  CLIENT_STOPPED: {
    concern: "config",
    help: "The client was stopped and can no longer be used; create a new one.",
  },
  PAYLOAD_INVALID: {
    concern: "payload",
    help: "The payload does not match the job's schema; `issues` lists each path and message. Nothing was stored.",
  },
  VALUE_NOT_SERIALIZABLE: {
    concern: "payload",
    help: "A value holds something that cannot be stored (function, symbol, stream, class instance, …); return plain data at the path that the text names.",
  },
  VALUE_TOO_LARGE: {
    concern: "payload",
    help: "A value is larger than its cap once encoded; store it elsewhere and pass a reference, or raise the cap.",
  },
  VALUE_CORRUPT: {
    concern: "payload",
    help: "Stored text cannot be decoded: it was changed outside of Pawl, or written with another codec or key; restore it or use that codec.",
  },
  EVENT_INVALID: {
    concern: "payload",
    help: "An event has no name, or an id, source, time or payload that cannot be used; correct the field that the text names.",
  },
  KEY_INVALID: {
    concern: "task",
    help: "A key is not a non-empty string or array of JSON scalars of at most 512 bytes; correct the key.",
  },
  KEY_DUPLICATE: {
    concern: "task",
    help: 'A key was used twice under the same parent in one execution; give each call its own key, in loops for instance ["send", item.id].',
  },
  KEY_REQUIRED: {
    concern: "task",
    help: "A client method that writes was called inside a run but outside a task, where a replay would repeat it; use the `io` method with a key.",
  },
  INVOKE_KEY_REQUIRED: {
    concern: "task",
    help: "job.invoke needs a key as its first argument inside a run, and takes none outside of runs.",
  },
  TASK_TIMEOUT: {
    concern: "task",
    help: "One attempt of a task took longer than its `timeout`; heed `task.signal`, or raise the timeout.",
  },
  TASK_INTERRUPTED: {
    concern: "task",
    help: "A process died inside an at-most-once task, so whether its effect happened is not known; look, then decide in the run's code.",
  },
  TRANSACTION_UNSUPPORTED: {
    concern: "config",
    help: "A task with `transaction: true`, or client.withTransaction, met a storage that cannot put users' writes and its own into one transaction; use one on PostgreSQL or SQLite.",
  },
  TRANSACTION_NOT_OPEN: {
    concern: "config",
    help: "What client.withTransaction was given is no open transaction of this storage's client; pass the one that your transaction function or task callback was given, before it ends.",
  },
  TRANSACTION_ASYNC: {
    concern: "task",
    help: "Something in a transaction of SQLite was asynchronous, which would leave it open for others to write into; make the callback synchronous, and the codec if you have one of your own.",
  },
  TRANSACTION_FAILED: {
    concern: "task",
    help: "A transaction of a task could not be committed because of what its callback did, so all of it was rolled back; `cause` is why. The task's `retry` tries again.",
  },
  TASK_LIMIT_EXCEEDED: {
    concern: "task",
    help: "A run recorded more tasks than its cap; split the work over child runs, or raise the cap.",
  },
  NESTED_CALL_FORBIDDEN: {
    concern: "task",
    help: 'An `io` call was made inside a task with `mode: "at-most-once"` or `transaction: true`, which may make none; make it before or after that task.',
  },
  WAIT_TIMEOUT: {
    concern: "task",
    help: "What a wait waited for did not come within its timeout; catch WaitTimeoutError to go on without it.",
  },
  FETCH_FAILED: {
    concern: "task",
    help: 'A request of backgroundFetch got no answer (name, connection, certificate); `cause` is why. A rule for "network" in `retry` tries again.',
  },
  FETCH_ANSWER_UNEXPECTED: {
    concern: "task",
    help: "An answer came that was not asked for: a status other than 2xx that no rule of `retry` tries again, or, while polling, one that does not meet `responseFilter`. `details.status` and `details.body` say what.",
  },
  FETCH_ADDRESS_REFUSED: {
    concern: "task",
    help: "A URL leads to an address that is not public, or is not http or https, so safeFetch sent nothing; correct the URL, or let the address pass with `allowAddress`.",
  },
  IDEMPOTENCY_CONFLICT: {
    concern: "run",
    help: "An idempotency key was used again with another payload; use a new key for new work. `details.runId` is the first run.",
  },
  NON_DETERMINISM: {
    concern: "run",
    help: "A recorded key was met by another kind of operation, so the code no longer fits the run's history; give the new operation a new key or restore the old code.",
  },
  SCHEDULE_NOT_FOUND: {
    concern: "run",
    help: "No job with this id and a schedule is registered; check the id, or start the client that has the job.",
  },
  STORE_VALUE_INVALID: {
    concern: "run",
    help: "A value of the store is no number, so it cannot be incremented; set it to a number, or use another name.",
  },
  AUTH_UNRESOLVED: {
    concern: "run",
    help: "An integration of the run has no credentials: its auth resolver threw, gave nothing, or is missing. `details.problems` has a message per key; mend it, then retry the run.",
  },
  TOKEN_NOT_FOUND: {
    concern: "run",
    help: "No token with this id is in the storage; check the id. Completed tokens go with purge.",
  },
  TOKEN_URL_INVALID: {
    concern: "run",
    help: "A URL is not one of a token, or was not made with one of the client's `secrets`; nothing was completed. Answer the request with 401.",
  },
  RUN_NOT_FOUND: {
    concern: "run",
    help: "No run with this id is in the storage; check the id, or whether the run was purged.",
  },
  RUN_NOT_FINAL: {
    concern: "run",
    help: "The call needs a run that has ended; wait for it with waitForRun or cancel it first.",
  },
  RUN_CANCELED: {
    concern: "run",
    help: "The run was canceled before it completed.",
  },
  RUN_EXPIRED: {
    concern: "run",
    help: "The run had not started within its `ttl` and was canceled; raise the ttl or add workers.",
  },
  RUN_TIMED_OUT: {
    concern: "run",
    help: "The run took longer than its `maxDuration`; raise it or split the work.",
  },
  RUN_FINISHED: {
    concern: "run",
    help: "The run is in a final state and takes no more changes; only retryRun and replayRun go on from there.",
  },
  RUN_STALLED: {
    concern: "run",
    help: "Several executions in a row died or hit their limit without recording a new task; look at the open task that the text names.",
  },
  RUN_WAIT_TIMEOUT: {
    concern: "run",
    help: "waitForRun gave up before the run ended; the run itself goes on.",
  },
  RATE_LIMITED: {
    concern: "run",
    help: "The job's `rateLimit` is used up, and nothing was started; start it again at `details.retryAt`.",
  },
  RUN_SKIPPED: {
    concern: "run",
    help: 'The job is a singleton with mode "skip" or "join", and run `details.runId` is open; start it again when that one has ended.',
  },
  RUN_SUPERSEDED: {
    concern: "run",
    help: 'A later start of the job took the place of the run (`debounce`, or a singleton with mode "replace"); `details.runId` is that run.',
  },
  STORAGE_INVALID: {
    concern: "storage",
    help: "What was passed as `storage` is not an adapter, or breaks the adapter contract; pass memory(), sqlite(…), postgres(…) or an adapter that passes the conformance suite.",
  },
  STORAGE_FAILED: {
    concern: "storage",
    help: "The storage answered with an error that repeated tries did not cure; see `cause`.",
  },
  STORAGE_CLOSED: {
    concern: "storage",
    help: "The storage was closed, and no call can follow; open a new one.",
  },
  STORAGE_NEWER: {
    concern: "storage",
    help: "The storage was written by a newer version of Pawl; update this process.",
  },
  STORAGE_CORRUPT: {
    concern: "storage",
    help: "The storage holds something that Pawl cannot have written; restore a backup.",
  },
  STORAGE_READONLY: {
    concern: "storage",
    help: "The storage cannot be written to; check file permissions, whether the server is a replica, or whether it was opened with `readonly: true`.",
  },
  STORAGE_FULL: {
    concern: "storage",
    help: "The storage has no room left; free space, or purge old runs.",
  },
  STORAGE_PATH_INVALID: {
    concern: "storage",
    help: "The storage's path cannot be used (missing directory, a directory, a network file system); correct the path.",
  },
  COPY_TARGET_NOT_EMPTY: {
    concern: "storage",
    help: "The target of copyStorage holds something already; copy into a new file or schema, once.",
  },
  COPY_UNFINISHED: {
    concern: "storage",
    help: "A copy into this store was broken off, so nothing may work on it; call copyStorage again with the same two stores.",
  },
  COPY_MISMATCH: {
    concern: "storage",
    help: "The source of copyStorage was written to during the copy; stop all clients on it, empty the target, and copy again.",
  },
  COPY_UNSUPPORTED: {
    concern: "storage",
    help: "A storage adapter has no exportRuns and importRuns, which copyStorage needs of both stores; implement them.",
  },
  DRIVER_MISSING: {
    concern: "storage",
    help: "The adapter's client library is not installed; install the package that the text names.",
  },
  DRIVER_UNSUPPORTED: {
    concern: "storage",
    help: "The installed client library or database is of a version that the adapter cannot use; install one that the text names.",
  },
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof errorCodes;
