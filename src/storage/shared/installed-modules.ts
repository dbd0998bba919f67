/** What is used of the runtime to find packages of the application's. */
export interface RuntimeProcess {
  readonly argv?: readonly string[];
  readonly version?: string;
  readonly versions?: { readonly node?: string; readonly bun?: string };
  cwd?(): string;
  getBuiltinModule?(name: string): unknown;
}

export type Require = ((name: string) => unknown) & { resolve(name: string): string };

interface ModuleBuiltin {
  createRequire(from: string): Require;
}

/**
 * Packages are looked for at run time only: nothing here is an import that a
 * bundler can follow, so an application bundles without any driver installed.
 * The builtins come from `process.getBuiltinModule`, which also works in a
 * bundle that was turned into CommonJS.
 *
 * Searched from where the library (or the bundle it is in) lies, where the
 * program lies, and where the process runs. A bundle in CommonJS has no
 * `import.meta.url`, and one made by webpack has that of the machine it was made on.
 */
export function requiresOf(runtime: RuntimeProcess = process): Require[] {
  const builtin = runtime.getBuiltinModule?.("node:module") as ModuleBuiltin | undefined;
  const here = import.meta.url as string | undefined;
  const places = [here, runtime.argv?.[1], `${runtime.cwd?.() ?? ""}/package.json`];
  return places.flatMap((place) => {
    try {
      return builtin && place ? [builtin.createRequire(place)] : [];
    } catch {
      return [];
    }
  });
}

/** The first of them that finds the package. */
export function requireFor(name: string, runtime?: RuntimeProcess): Require | undefined {
  return requiresOf(runtime).find((candidate) => {
    try {
      candidate.resolve(name);
      return true;
    } catch {
      return false;
    }
  });
}
