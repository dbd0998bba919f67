import { has, same, sameSet, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { topic } from "./topic.js";

async function keys(store: Fixture, prefix: string, page: { after?: string; limit?: number } = {}) {
  const found = await store.a.listValues(prefix, { limit: 100, ...page });
  return found.map(({ key }) => key);
}

export const values = topic("values", {
  async "a value is read as it was set, through any instance"(store) {
    same(await store.a.getValue("k"), undefined);
    same(await store.a.setValue("k", "v"), { ok: true, version: 1 });
    same(await store.b.getValue("k"), { value: "v", version: 1 });
    const second = await store.b.setValue("k", "");
    that(second.ok && second.version > 1, "the version rises");
    same(await store.a.getValue("k"), { value: "", version: second.version });
  },

  async "a comparison that fails sets nothing and tells what is there"(store) {
    const { version } = await store.a.setValue("k", "old");
    same(await store.a.setValue("k", "new", 0), { ok: false, version, value: "old" });
    same(await store.a.setValue("k", "new", version + 1), { ok: false, version, value: "old" });
    same(await store.a.setValue("none", "new", 1), { ok: false, version: 0 });
    same(await store.a.getValue("none"), undefined);
    has(await store.a.setValue("k", "new", version), { ok: true });
    has(await store.a.setValue("none", "new", 0), { ok: true, version: 1 });
  },

  async "a value is deleted, if it is the one that was meant"(store) {
    const { version } = await store.a.setValue("k", "v");
    same(await store.a.deleteValue("k", version + 1), { ok: false, version, value: "v" });
    same(await store.a.deleteValue("k", version), { ok: true, version: 0 });
    same(await store.a.getValue("k"), undefined);
    same(await store.a.deleteValue("k"), { ok: true, version: 0 });
    same(await store.a.deleteValue("k", 3), { ok: false, version: 0 });
  },

  async "a deleted key that is set again never repeats a version"(store) {
    const seen = new Set<number>();
    for (let round = 1; round <= 4; round += 1) {
      seen.add((await store.a.setValue("k", `${round}`, 0)).version);
      await store.b.deleteValue("k");
    }
    same(seen.size, 4, "different versions");
  },

  async "of many that set the same version at once one does"(store) {
    const { version } = await store.a.setValue("k", "");
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        (n % 2 ? store.a : store.b).setValue("k", `${n}`, version),
      ),
    );
    const winners = results.flatMap(({ ok }, n) => (ok ? [`${n}`] : []));
    same(winners, [(await store.a.getValue("k"))?.value], "winners");
  },

  async "keys are listed by prefix, in order, page by page"(store) {
    for (const key of ["b/2", "a/1", "b/10", "b", "b/1", "c/1", "B/1"])
      await store.a.setValue(key, key);
    same(await keys(store, "b/"), ["b/1", "b/10", "b/2"]);
    same(await keys(store, "b/", { limit: 2 }), ["b/1", "b/10"]);
    same(await keys(store, "b/", { limit: 2, after: "b/10" }), ["b/2"]);
    same(await keys(store, "b/", { after: "a" }), ["b/1", "b/10", "b/2"]);
    same(await keys(store, "none"), []);
    same((await keys(store, "")).length, 7, "number of keys");
  },

  async "a listed key comes with value and version"(store) {
    const { version } = await store.a.setValue("k", "v");
    same(await store.a.listValues("k", { limit: 1 }), [{ key: "k", value: "v", version }]);
  },

  async "a deleted key is not listed"(store) {
    for (const key of ["a1", "a2", "a3"]) await store.a.setValue(key, "");
    await store.a.deleteValue("a2");
    same(await keys(store, "a", { limit: 2 }), ["a1", "a3"]);
  },

  async "no character of a prefix is a wildcard"(store) {
    const all = ["a%b", "a_b", "axb", "a*b", "a\\b", "a'b", "A%b"];
    for (const key of all) await store.a.setValue(key, "");
    for (const prefix of ["a%", "a_", "a*", "a\\", "a'"])
      same(await keys(store, prefix), [`${prefix}b`]);
    sameSet(
      await keys(store, "a"),
      all.filter((key) => key.startsWith("a")),
    );
  },
});
