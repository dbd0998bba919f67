import type {
  CreatedRun,
  CreateElement,
  CreateGroup,
  CreateResult,
  NewRun,
} from "../../core/storage.js";
import { leaseOf, type MemoryData } from "./data.js";
import type { Holder } from "./identity.js";

interface Creation {
  readonly data: MemoryData;
  readonly createId: string;
  readonly now: number;
  /** The element was applied before: what it made then is answered as made again, each run once. */
  readonly repeated: boolean;
  readonly answered: Set<string>;
}

export function createElement(data: MemoryData, element: CreateElement, now: number): CreateResult {
  const { createId, groups, expect = [] } = element;
  const [only] = groups;
  if (
    only !== undefined &&
    groups.length === 1 &&
    only.further === undefined &&
    expect.length === 0
  )
    return {
      result: "ok",
      groups: [{ first: createLone(data, only.first, createId, now), further: [] }],
    };
  const repeated = groups.some(
    ({ first }) => data.identities.holder(first, now)?.createId === createId,
  );
  if (!repeated && expect.some(({ key, version }) => !data.values.matches(key, version)))
    return { result: "conflict" };
  const creation: Creation = { data, createId, now, repeated, answered: new Set() };
  return { result: "ok", groups: groups.map((group) => createGroup(creation, group)) };
}

/** An element of one run: nearly all of them. */
function createLone(data: MemoryData, run: NewRun, createId: string, now: number): CreatedRun {
  const holder = data.identities.holder(run, now);
  return createdRun(
    holder ?? data.insert(run, createId, now),
    run,
    holder === undefined || holder.createId === createId,
  );
}

function createGroup(
  creation: Creation,
  { first: newFirst, further = [] }: CreateGroup,
): { first: CreatedRun; further: CreatedRun[] } {
  const first = createRun(creation, newFirst);
  return { first, further: first.created ? further.map((run) => createRun(creation, run)) : [] };
}

function createRun(creation: Creation, run: NewRun): CreatedRun {
  const { data, createId, now, repeated, answered } = creation;
  const holder = data.identities.holder(run, now);
  const created =
    holder === undefined || (repeated && holder.createId === createId && !answered.has(holder.id));
  const made = holder ?? data.insert(run, createId, now);
  answered.add(made.id);
  return createdRun(made, run, created);
}

function createdRun(
  { id, fingerprint, createdAt }: Holder,
  run: NewRun,
  created: boolean,
): CreatedRun {
  const lease = created ? leaseOf(run) : undefined;
  const leaseUntil = lease === undefined ? null : createdAt + lease.leaseMs;
  return { id, created, fingerprint, createdAt, leaseUntil };
}
