import { testStorage } from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { describe, test } from "vitest";

testStorage({
  name: "memory",
  runner: { describe, test },
  create: () => {
    const data = new MemoryData();
    return { open: () => memory({ data }) };
  },
});
