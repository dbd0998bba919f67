// The table: each figure beside its limit. Limits in absolute numbers were set on another machine; they are scaled by
// what the driver and the JavaScript engine do here, in the same run, and both stand in the table.
export const n = (value, digits = 0) =>
  Number.isFinite(value) ? value.toLocaleString("en-US", { maximumFractionDigits: digits }) : "–";

/** Where the limits were set: rows per second in groups of 100 by driver, and awaits with JSON.stringify per second. */
const reference = {
  libsql: 169_915,
  "better-sqlite3": 202_107,
  "node:sqlite": 278_457,
  js: 4_196_585,
};

export class Table {
  #rows = [];
  #machine;

  /** @param machine what the raw driver and plain JavaScript do here: { driver, rowsPerS, jsPerS } */
  constructor(machine) {
    this.#machine = machine;
  }

  get machine() {
    const { driver, rowsPerS, jsPerS } = this.#machine;
    const here = `${driver}: ${n(rowsPerS)} rows/s in groups of 100; await + JSON.stringify: ${n(jsPerS)}/s`;
    return `${here}. So limits of time for SQLite are ${n(this.#slower("sqlite"), 2)} × those of the machine they were set on, others ${n(this.#slower("js"), 2)} ×.`;
  }

  #slower(scale) {
    if (scale === "sqlite") return reference[this.#machine.driver] / this.#machine.rowsPerS;
    return scale === "js" ? reference.js / this.#machine.jsPerS : 1;
  }

  /** `value` must be at most (or, with `least`, at least) `limit`, in `unit`. */
  add(workload, value, { limit, least = false, unit = "", digits = 0, scale, note = "" }) {
    const slower = this.#slower(scale);
    const here = least ? limit / slower : limit * slower;
    const share = least ? here / value : value / here;
    const sign = least ? "≥" : "≤";
    const must = `${sign} ${n(limit, 2)} ${unit}${scale === undefined ? "" : ` (here ${n(here, digits)})`}`;
    const met = share <= 1 ? "yes" : share <= 2 ? `by ${n(share, 2)} × not` : "no";
    this.#push(workload, `${n(value, digits)} ${unit}`, must.trim(), note, met);
  }

  note(workload, text) {
    this.#push(workload, text, "", "", "");
  }

  #push(...row) {
    this.#rows.push(row);
    console.log(row.filter((text) => text !== "").join(" | "));
  }

  toString() {
    return [
      "| workload | figure | must | | met |",
      "|---|---|---|---|---|",
      ...this.#rows.map((row) => `| ${row.join(" | ")} |`),
    ].join("\n");
  }
}
