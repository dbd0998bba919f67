// `node --import ./scripts/ts.mjs file.ts` runs TypeScript on every supported Node.
import { register } from "node:module";

register("./ts-hooks.mjs", import.meta.url);
