// `npm run test:kill -- --storage postgres --cycles 1000 --races 2000`; other arguments go to vitest.
import { count, runTests } from "./cycle-options.mjs";

const stores = ["sqlite", "postgres"];
const fits = (value) =>
  String(value)
    .split(",")
    .every((name) => stores.includes(name));
runTests(
  {
    cycles: count("PAWL_KILL_CYCLES", 100),
    races: count("PAWL_KILL_RACES", 180),
    storage: {
      variable: "PAWL_KILL_STORAGE",
      usual: stores.join(),
      fits,
      example: stores.join(" or --storage "),
    },
  },
  ["--project", "kill"],
);
