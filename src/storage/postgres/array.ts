import type { Parameter } from "./driver.js";

/**
 * An array as PostgreSQL writes it. The drivers each have an encoder of their
 * own, and they differ in what they make of a null and of a number.
 */
export function arrayText(values: readonly (string | number | null)[]): Parameter {
  let text = "{";
  for (const value of values) {
    if (text !== "{") text += ",";
    text += value === null ? "null" : typeof value === "number" ? value : quoted(value);
  }
  return `${text}}`;
}

/** One of the arrays of an `unnest` of several: there a shorter one is filled up with nulls. */
export function columnText(values: readonly (string | number | null)[]): Parameter {
  return values.every((value) => value === null) ? "{}" : arrayText(values);
}

function quoted(value: string): string {
  const escaped = /["\\]/.test(value) ? value.replace(/["\\]/g, "\\$&") : value;
  return `"${escaped}"`;
}
