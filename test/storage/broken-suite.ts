import { type Storage, testStorage } from "pawl/adapter-kit";
import { MemoryData } from "pawl/memory";

export interface RegisteredCase {
  readonly topic: string;
  readonly title: string;
  readonly run: () => Promise<void>;
}

/** What the suite registers for an adapter whose instances are made by `open`. */
export function suiteFor(open: () => (data: MemoryData) => Storage): RegisteredCase[] {
  const cases: RegisteredCase[] = [];
  let topic = "";
  const register = (title: string, body: (context: { skip(): void }) => Promise<void>): void => {
    cases.push({ topic, title, run: () => body({ skip: () => {} }) });
  };
  testStorage({
    name: "broken",
    runner: {
      describe: (title, body) => {
        topic = title.replace("broken storage, ", "");
        body();
      },
      test: Object.assign(register, { skip: () => {} }),
    },
    create: () => {
      const data = new MemoryData();
      const openOn = open();
      return { open: () => openOn(data) };
    },
  });
  return cases;
}

export async function failuresOf(cases: readonly RegisteredCase[]): Promise<RegisteredCase[]> {
  const failed: RegisteredCase[] = [];
  for (const each of cases) await each.run().catch(() => failed.push(each));
  return failed;
}
