import type { StoredRun } from "../../core/stored-run.js";
import { arrayText } from "./array.js";
import { arrayParametersOf, arraysOf, type Column, cellsOf, namesOf } from "./column.js";
import type { Session } from "./driver.js";
import { type RunColumn, updated } from "./run-row.js";

interface Update {
  readonly rk: string;
  readonly before: StoredRun;
  readonly stored: StoredRun;
}

function isChanged({ cell }: RunColumn, { before, stored }: Update): boolean {
  return cell(before) !== cell(stored);
}

/** A statement that updates some of the columns. */
class UpdateForm {
  readonly #columns: readonly RunColumn[];
  readonly #large: readonly RunColumn[];
  /** What is sent of an update: of the large columns what is new. */
  readonly #sent: readonly Column<Update>[];

  constructor(columns: readonly RunColumn[]) {
    this.#columns = columns;
    this.#large = columns.filter(({ isLarge }) => isLarge === true);
    this.#sent = columns.map((column) => ({
      name: column.name,
      type: column.type,
      cell: (update) =>
        column.isLarge === true && !isChanged(column, update) ? null : column.cell(update.stored),
    }));
  }

  text(schema: string): string {
    const cells = cellsOf(this.#columns, "u");
    const sets = this.#columns.map((column, index) => {
      const bit = 1 << this.#large.indexOf(column);
      const kept = `case when u.unchanged & ${bit} > 0 then r.${column.name} else ${cells[index]} end`;
      return `${column.name} = ${column.isLarge === true ? kept : cells[index]}`;
    });
    return (
      `update ${schema}.runs r set ${sets.join(", ")} from unnest($1::bigint[], $2::integer[], ${arraysOf(this.#sent, 3).join(", ")}) ` +
      `as u(rk, unchanged, ${namesOf(this.#sent)}) where r.rk = u.rk`
    );
  }

  parameters(updates: readonly Update[]) {
    return [
      arrayText(updates.map(({ rk }) => rk)),
      arrayText(updates.map((update) => this.#unchangedIn(update))),
      ...arrayParametersOf(this.#sent, updates),
    ];
  }

  /** Bits for the large columns that stay as they are. */
  #unchangedIn(update: Update): number {
    return this.#large.reduce(
      (bits, column, index) => (isChanged(column, update) ? bits : bits | (1 << index)),
      0,
    );
  }
}

const stateForm = new UpdateForm(updated.filter(({ isState }) => isState === true));
const fullForm = new UpdateForm(updated);
const definition = updated.filter(({ isState }) => isState !== true);

/** Claims, parks and ends change the state of a run only, which is two thirds of the columns. */
export async function updateRuns(
  schema: string,
  session: Session,
  updates: readonly Update[],
): Promise<void> {
  const isState = updates.every((update) =>
    definition.every((column) => !isChanged(column, update)),
  );
  const form = isState ? stateForm : fullForm;
  await session.query(form.text(schema), form.parameters(updates));
}
