// Built as an entry of its own, though no subpath exports it, so that bundlers can leave the engine out.
export { isPawlError } from "./core/errors.js";
export { defineEvent } from "./core/event.js";
export { defineJob } from "./core/job.js";
export { retry } from "./core/retry.js";
export { eventTrigger, invokeTrigger } from "./core/trigger.js";
