import type { Parameter } from "./driver.js";

/**
 * An array as PostgreSQL writes it. The drivers each have an encoder of their
 * own, and they differ in what they make of a null and of a number.
 */
export function arrayText(values: readonly (string | number | null)[]): Parameter {
  let text = "";
  for (const value of values) {
    if (text !== "") text += ",";
    text += value === null ? "null" : typeof value === "number" ? String(value) : quoted(value);
  }
  return `{${text}}`;
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}
