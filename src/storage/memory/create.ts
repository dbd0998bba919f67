import { planCreation } from "../../core/creation.js";
import type { CreateElement, CreateResult, NewRun } from "../../core/storage.js";
import type { MemoryData } from "./data.js";

export function createElement(data: MemoryData, element: CreateElement, now: number): CreateResult {
  const known = {
    holder: (run: NewRun) => data.identities.holder(run, now),
    versionOf: (key: string) => data.values.versionOf(key),
  };
  const { answer, runs, values } = planCreation(element, known, now);
  for (const stored of runs) data.insert(stored, now);
  for (const value of values) data.values.write(value);
  return answer;
}
