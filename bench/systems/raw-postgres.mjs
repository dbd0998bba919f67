// The client "pg" itself, on the same server: what a commit costs, and rows per second by arrays on two connections.
import { now, TEXT } from "../measure.mjs";
import { Scratch } from "./postgres.mjs";

const columns =
  "(run text not null, k text not null, out text not null, at bigint not null, primary key (run, k))";

/** A table of its own, and commits of one row to it. */
export async function openRawPostgres() {
  const scratch = new Scratch({ max: 2 });
  const { pool, schema } = scratch;
  await pool.query(`create schema "${schema}"; create table "${schema}".s ${columns}`);
  let count = 0;
  const row = () => {
    count++;
    return [
      `run-${Math.floor(count / 10)}`,
      `s${count}`,
      JSON.stringify({ i: count, text: TEXT }),
      Date.now(),
    ];
  };
  const one = `insert into "${schema}".s values ($1, $2, $3, $4)`;
  const many = `insert into "${schema}".s select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])`;
  return {
    driver: "pg",
    commitOne: () => pool.query({ name: "one", text: one, values: row() }),
    commitMany: (rows) => {
      const arrays = [[], [], [], []];
      for (let i = 0; i < rows; i++) {
        for (const [column, cell] of row().entries()) arrays[column].push(cell);
      }
      return pool.query({ name: "many", text: many, values: arrays });
    },
    close: () => scratch.remove(),
  };
}

/** Rows per second in groups of 100 on two connections, and milliseconds of a lone commit. */
export async function measureRawPostgres({ ms = 2_000 } = {}) {
  const raw = await openRawPostgres();
  const perSecond = async (rows, lanes, work) => {
    const started = now();
    let done = 0;
    const lane = async () => {
      while (now() - started < ms) {
        await work();
        done += rows;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return (done / (now() - started)) * 1_000;
  };
  await perSecond(100, 2, () => raw.commitMany(100));
  const rowsPerS = await perSecond(100, 2, () => raw.commitMany(100));
  const commitsPerS = await perSecond(1, 1, raw.commitOne);
  await raw.close();
  return { driver: raw.driver, rowsPerS, commitMs: 1_000 / commitsPerS };
}
