import { atomicity } from "./atomicity.js";
import { claimAnswers, claimOrder, claims } from "./claims.js";
import { creation } from "./creation.js";
import { deadlines, frugality } from "./deadlines.js";
import { due, interleavings } from "./due.js";
import { effects } from "./effects.js";
import { executions, logs } from "./executions.js";
import { guards } from "./guards.js";
import { immutability } from "./immutability.js";
import { clock, hints, lifecycle, ownership } from "./lifecycle.js";
import { limits } from "./limits.js";
import { listing } from "./listing.js";
import { purging } from "./purge.js";
import { repeats } from "./repeats.js";
import { sequence } from "./sequence.js";
import { signals, watches } from "./signals.js";
import { text } from "./text.js";
import type { Topic } from "./topic.js";
import { transactions } from "./transactions.js";
import { transfer } from "./transfer.js";
import { values } from "./values.js";
import { taskPages, waiting } from "./waiting.js";
import { writes } from "./writes.js";

/** The conformance suite: first the rules of the contract, then what no rule covers. */
export const topics: readonly Topic[] = [
  atomicity,
  guards,
  immutability,
  repeats,
  sequence,
  claims,
  claimOrder,
  claimAnswers,
  limits,
  due,
  interleavings,
  signals,
  watches,
  effects,
  deadlines,
  frugality,
  creation,
  writes,
  executions,
  transactions,
  logs,
  values,
  listing,
  taskPages,
  waiting,
  purging,
  transfer,
  text,
  lifecycle,
  clock,
  ownership,
  hints,
];
