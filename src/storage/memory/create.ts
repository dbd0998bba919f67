import type {
  CreatedRun,
  CreateElement,
  CreateGroup,
  CreateResult,
  NewRun,
} from "../../core/storage.js";
import { leaseOf, type MemoryData } from "./data.js";

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
  const repeated = groups.some(
    ({ first }) => data.identities.holder(first, now)?.createId === createId,
  );
  if (!repeated && expect.some(({ key, version }) => !data.values.matches(key, version)))
    return { result: "conflict" };
  const creation: Creation = { data, createId, now, repeated, answered: new Set() };
  return { result: "ok", groups: groups.map((group) => createGroup(creation, group)) };
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
  const { id, fingerprint, createdAt } = holder ?? data.insert(run, createId, now);
  answered.add(id);
  const lease = created ? leaseOf(run) : undefined;
  const leaseUntil = lease === undefined ? null : createdAt + lease.leaseMs;
  return { id, created, fingerprint, createdAt, leaseUntil };
}
