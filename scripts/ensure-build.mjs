// Builds dist/ when it is missing or older than the sources.
// Run it from the command line, or name it as vitest's globalSetup (the default export).
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const inputs = [
  "package.json",
  "package-lock.json",
  "tsup.config.ts",
  "tsconfig.json",
  "tsconfig.build.json",
];
const lock = join(root, "node_modules", ".pawl-build-lock");

function modifiedAt(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function sourceFiles() {
  const entries = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name).slice(root.length));
}

/** Declarations are written last, and not at all if types are wrong: they tell that a build has ended well. */
function isUpToDate() {
  const built = Math.min(modifiedAt("dist/index.d.ts"), modifiedAt("dist/cli.js"));
  return built > 0 && [...inputs, ...sourceFiles()].every((path) => modifiedAt(path) <= built);
}

async function holdLock() {
  for (;;) {
    try {
      mkdirSync(lock);
      return;
    } catch {
      const heldSince = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - heldSince > 120_000) rmSync(lock, { recursive: true, force: true });
      await pause(200);
    }
  }
}

export default async function ensureBuild() {
  if (isUpToDate()) return;
  await holdLock();
  try {
    if (isUpToDate()) return;
    execFileSync("npm", ["run", "build", "--silent"], { cwd: root, stdio: ["ignore", 2, 2] });
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await ensureBuild();
