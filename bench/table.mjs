// The table: each figure beside its limit. Limits in absolute numbers were set on another machine; they are scaled by
// what the driver does here, in the same run, and both stand in the table.
export const n = (value, digits = 0) =>
  Number.isFinite(value) ? value.toLocaleString("en-US", { maximumFractionDigits: digits }) : "–";

/** Rows per second in groups of 100 where the limits were set, by driver. */
const reference = {
  libsql: 169_915,
  "better-sqlite3": 202_107,
  "node:sqlite": 278_457,
  pg: 154_000,
};

export class Table {
  #rows = [];
  #machine;

  /** @param machine what the raw driver does here: { driver, rowsPerS } */
  constructor(machine) {
    this.#machine = machine;
  }

  get machine() {
    const { driver, rowsPerS } = this.#machine;
    return `${driver} itself: ${n(rowsPerS)} rows/s in groups of 100, where the limits were set ${n(reference[driver])}. So absolute limits ${this.#slower === 1 ? "stay what they are" : `are eased by ${n(this.#slower, 2)}`}.`;
  }

  get #slower() {
    // On a faster machine they stay what they are.
    return Math.max(1, reference[this.#machine.driver] / this.#machine.rowsPerS);
  }

  /** `value` must be at most (or, with `least`, at least) `limit`, in `unit`. If it is not, `profile` tells why. */
  add(workload, value, { limit, least = false, unit = "", digits = 0, scaled = false, ...about }) {
    const slower = scaled ? this.#slower : 1;
    const here = least ? limit / slower : limit * slower;
    const share = least ? here / value : value / here;
    const sign = least ? "≥" : "≤";
    const must = `${sign} ${n(limit, 2)} ${unit}${scaled ? ` (here ${n(here, digits)})` : ""}`;
    const met = share <= 1 ? "yes" : share <= 2 ? `by ${n(share, 2)} × not` : "no";
    const notes = [about.note, share <= 1 ? undefined : about.profile?.()];
    const note = notes.filter((text) => text !== undefined).join("; ");
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
