// A system of the folder systems/ by its name, such as "pawl-postgres" or "dbos".
export async function openSystem(name, options) {
  const open = name.startsWith("pawl-")
    ? (await import("./systems/pawl.mjs")).open(name.slice("pawl-".length))
    : (await import(`./systems/${name}.mjs`)).open();
  return open(options);
}
