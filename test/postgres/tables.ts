const tables = ["runs", "tasks", "signals", "logs", "keys", "tombstones", "values"];

function names(schema: string): string[] {
  return tables.map((table) => `"${schema}".${table}`);
}

/** Quicker than a new schema for each test, and than `truncate`, which makes new files. */
export function deleteAll(schema: string): string {
  return names(schema)
    .map((name) => `delete from ${name}`)
    .join("; ");
}

export function truncateAll(schema: string): string {
  return `truncate ${names(schema).join(", ")}`;
}
