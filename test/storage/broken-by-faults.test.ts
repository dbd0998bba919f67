import { type FaultKind, ManualClock, type Storage, withFaults } from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { describe, expect, test } from "vitest";

async function store(kind: FaultKind, call = 1) {
  const data = new MemoryData();
  const clock = new ManualClock();
  const sound = memory({ data, clock });
  let crashed = false;
  const faulty = withFaults(memory({ data, clock }), [{ method: "setValue", call, kind }], () => {
    crashed = true;
  });
  await faulty.init({ clock });
  return { sound, faulty, hasCrashed: () => crashed };
}

/** Whether a call was answered by the time that everything else in this process was. */
async function outcome(call: Promise<unknown>): Promise<string> {
  const settled = call.then(
    () => "answered",
    (error: { code?: string }) => `refused, ${error.code}`,
  );
  const later = new Promise<string>((resolve) => setImmediate(() => resolve("silent")));
  return Promise.race([settled, later]);
}

const readValue = async (storage: Storage) => (await storage.getValue("k"))?.value;

describe("injected faults", () => {
  test("an error refuses one call, before it takes effect", async () => {
    const { sound, faulty } = await store("error-once");
    expect(await outcome(faulty.setValue("k", "1"))).toBe("refused, STORAGE_FAILED");
    expect(await readValue(sound)).toBeUndefined();
    expect(await outcome(faulty.setValue("k", "2"))).toBe("answered");
    expect(await readValue(sound)).toBe("2");
  });

  test("an error for ever refuses all calls of its method from the planned one on", async () => {
    const { faulty } = await store("error-forever", 2);
    const outcomes: string[] = [];
    for (let call = 0; call < 4; call += 1) outcomes.push(await outcome(faulty.setValue("k", "")));
    const refused = "refused, STORAGE_FAILED";
    expect(outcomes).toEqual(["answered", refused, refused, refused]);
    expect(await readValue(faulty)).toBe("");
  });

  test("a lost answer leaves its effect", async () => {
    const { faulty } = await store("lost-answer");
    expect(await outcome(faulty.setValue("k", "1"))).toBe("refused, STORAGE_FAILED");
    expect(await readValue(faulty)).toBe("1");
  });

  test.each([
    ["crash-before", undefined],
    ["crash-after", "1"],
  ] as const)("after %s nothing is answered any more, and others go on", async (kind, value) => {
    const { sound, faulty, hasCrashed } = await store(kind);
    expect(await outcome(faulty.setValue("k", "1"))).toBe("silent");
    expect(hasCrashed()).toBe(true);
    expect(await outcome(faulty.getValue("k"))).toBe("silent");
    expect(await outcome(faulty.setValue("k", "2"))).toBe("silent");
    expect(await readValue(sound)).toBe(value);
  });

  test("what is not a method is passed through", async () => {
    const { faulty } = await store("error-once");
    expect(faulty.name).toBe("memory");
    expect(faulty.capabilities.limits).toBe(true);
    expect(faulty.deliver).toBeUndefined();
  });
});

test("a manual clock has no timers to give", () => {
  expect(() => new ManualClock().setTimer()).toThrow("no timers");
});

test("a manual clock goes by hand, and its monotonic side never goes back", () => {
  const clock = new ManualClock();
  clock.advance(5);
  clock.setWallTime(7);
  expect([clock.now(), clock.monotonic()]).toEqual([7, 5]);
});
