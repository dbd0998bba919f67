import { expect, test } from "vitest";
import { arrayText } from "../../src/storage/postgres/array.js";
import { describeClients } from "./clients.js";

const awkward = [
  "",
  "null",
  "NULL",
  " a ",
  'quote " and \\ backslash',
  "comma, {braces}",
  "line\nbreak",
  "ümläut 🦉",
  "'; drop table runs; --",
];

describeClients("a client of PostgreSQL", (driver, schema) => {
  test("says how many rows were inserted: without that every lone record would go the long way", async () => {
    await driver().script(
      `create schema if not exists "${schema}"; create table "${schema}".counted (a text)`,
    );
    const insert = `insert into "${schema}".counted select $1::text where $2::text::boolean`;
    expect(await driver().insert(insert, ["x", "true"])).toBe(1);
    expect(await driver().insert(insert, ["x", "false"])).toBe(0);
  });

  test("plans a statement with indexes in a transaction of its own, and others as ever", async () => {
    const setting = "select current_setting('enable_seqscan'), $1::text";
    const plain = await driver().query(setting, ["ümläut 🦉"]);
    for (let n = 0; n < 3; n++)
      expect(await driver().planned(setting, ["ümläut 🦉"])).toEqual([["off", "ümläut 🦉"]]);
    expect(await driver().query(setting, ["ümläut 🦉"])).toEqual(plain);
    expect(plain).toEqual([["on", "ümläut 🦉"]]);
  });

  test("undoes such a statement that fails, and goes on with it", async () => {
    await driver().script(
      `create schema if not exists "${schema}"; create table "${schema}".halves (n integer)`,
    );
    const insert = `insert into "${schema}".halves select 6 / n from unnest($1::integer[]) as n returning n::text, null`;
    await expect(driver().planned(insert, ["{1,0}"])).rejects.toThrow("division by zero");
    expect(await driver().planned(insert, ["{}"])).toEqual([]);
    expect(await driver().planned(insert, ["{2,3}"])).toEqual([
      ["3", null],
      ["2", null],
    ]);
    expect(await driver().query(`select n::text from "${schema}".halves`)).toEqual([["3"], ["2"]]);
    await expect(driver().planned("select nonsense", [])).rejects.toThrow("nonsense");
    await expect(driver().planned("select nonsense", [])).rejects.toThrow("nonsense");
  });

  test("takes text and gives text, whatever the type", async () => {
    const rows = await driver().query(
      "select $1::text, $2::bigint, $3::integer, $4::text::boolean::text, $5::text, $6::text",
      ["ümläut 🦉", "9007199254740991", "7", "true", null, ""],
    );
    const [row] = rows;
    expect(row).toEqual(["ümläut 🦉", "9007199254740991", "7", "true", null, ""]);
  });

  test("answers columns of one name by their place", async () => {
    expect(await driver().query("select 1::text as a, 2::text as a")).toEqual([["1", "2"]]);
  });

  test("arrays arrive element by element", async () => {
    const values = [...awkward, null];
    const rows = await driver().query("select * from unnest($1::text[])", [arrayText(values)]);
    expect(rows).toEqual(values.map((value) => [value]));
    expect(
      await driver().query("select * from unnest($1::bigint[])", [arrayText([1, null, 3])]),
    ).toEqual([["1"], [null], ["3"]]);
    expect(await driver().query("select cardinality($1::text[])::text", [arrayText([])])).toEqual([
      ["0"],
    ]);
  });

  test("a transaction is committed as a whole, and rolled back as a whole by what its work throws", async () => {
    await driver().script(
      `create schema if not exists "${schema}"; create table "${schema}".notes (note text)`,
    );
    const insert = `insert into "${schema}".notes values ($1)`;
    const answer = await driver().transaction(async (session) => {
      await session.query(insert, ["one"]);
      await session.query(insert, ["two"]);
      return "done";
    });
    expect(answer).toBe("done");
    const failed = driver().transaction(async (session) => {
      await session.query(insert, ["three"]);
      throw new Error("changed its mind");
    });
    await expect(failed).rejects.toThrow("changed its mind");
    const broken = driver().transaction(async (session) => {
      await session.query(insert, ["four"]);
      await session.query("select 1 / 0");
    });
    await expect(broken).rejects.toThrow("division by zero");
    const notes = await driver().query(`select note from "${schema}".notes order by note`);
    expect(notes).toEqual([["one"], ["two"]]);
  });

  test("goes on after a statement that failed, under the same name as before", async () => {
    const divide = "select (1 / $1::integer)::text";
    await expect(driver().query(divide, ["0"])).rejects.toThrow("division by zero");
    expect(await driver().query(divide, ["1"])).toEqual([["1"]]);
  });

  test("statements at the same time get their own answers", async () => {
    const numbers = Array.from({ length: 50 }, (_, index) => String(index));
    const answers = await Promise.all(
      numbers.map((number) => driver().query("select $1::integer::text", [number])),
    );
    expect(answers.map(([row]) => row?.[0])).toEqual(numbers);
  });
});
