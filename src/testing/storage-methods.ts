import type { Storage } from "../core/storage.js";

type Method = (...args: unknown[]) => Promise<unknown>;

/** The same storage, with every call of a method going through `around`. */
export function aroundMethods(
  storage: Storage,
  around: (
    name: string,
    call: () => Promise<unknown>,
    args: readonly unknown[],
  ) => Promise<unknown>,
): Storage {
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        around(String(name), () => Reflect.apply(member as Method, target, args), args);
    },
  });
}
