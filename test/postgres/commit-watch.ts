/**
 * Tells which pieces that `pg` sends make something durable: COMMIT itself, and a statement that writes outside of a
 * transaction.
 */
export class CommitWatch {
  /** Names of prepared statements. */
  readonly #writes = new Set<string>();
  readonly #inTransaction = new WeakSet<object>();

  /** What comes in one piece is executed together. */
  commits(data: Buffer, connection: object): boolean {
    let doesCommit = false;
    for (let at = 0; at + 5 <= data.length; at += 1 + data.readUInt32BE(at + 1))
      if (this.#isCommit(data, at, connection)) doesCommit = true;
    return doesCommit;
  }

  #isCommit(data: Buffer, at: number, connection: object): boolean {
    const [first = "", second = ""] = data.toString("latin1", at + 5).split("\0");
    switch (String.fromCharCode(data[at] ?? 0)) {
      // A simple query.
      case "Q":
        return this.#command(first, connection);
      // Parse: name and text. What executes it comes along.
      case "P":
        if (/\b(insert into|update|delete from)\b/.test(second)) this.#writes.add(first);
        return this.#isWrite(first, connection);
      // Bind: a portal, then the name.
      case "B":
        return this.#isWrite(second, connection);
      default:
        return false;
    }
  }

  #command(text: string, connection: object): boolean {
    if (text.startsWith("begin")) this.#inTransaction.add(connection);
    const isCommit = text.endsWith("commit");
    if (isCommit || text === "rollback") this.#inTransaction.delete(connection);
    return isCommit;
  }

  #isWrite(statement: string, connection: object): boolean {
    return this.#writes.has(statement) && !this.#inTransaction.has(connection);
  }
}
