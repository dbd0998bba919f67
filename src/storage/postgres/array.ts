import type { Parameter } from "./driver.js";

/**
 * An array as PostgreSQL writes it. The drivers each have an encoder of their
 * own, and they differ in what they make of a null and of a number.
 */
export function arrayText(values: readonly (string | number | null)[]): Parameter {
  return `{${values.map(elementText).join(",")}}`;
}

function elementText(value: string | number | null): string | number {
  if (value === null) return "null";
  return typeof value === "number" ? value : quoted(value);
}

function quoted(value: string): string {
  const escaped = /["\\]/.test(value) ? value.replace(/["\\]/g, "\\$&") : value;
  return `"${escaped}"`;
}
