import { readFileSync } from "node:fs";
import { defineEvent } from "pawl";
import { z } from "zod";

const Order = z.object({
  orderId: z.string().regex(/^A-\d{6}$/),
  placedAt: z.iso.datetime(),
  email: z.email(),
  sku: z.string().min(1),
  quantity: z.coerce.number<string>().int().positive(),
  unitPrice: z.coerce.number<string>().nonnegative(),
  country: z.string().length(2),
});

/** An order as it stands in the file: all fields are text. */
export type OrderLine = z.input<typeof Order>;

export const orderPlaced = defineEvent({ name: "order.placed", schema: Order });

export interface OrderExport {
  readonly lines: number;
  readonly valid: readonly OrderLine[];
  readonly problems: readonly string[];
}

/** Reads the shop's CSV export. Broken lines are told, not thrown. */
export function readOrders(file: URL): OrderExport {
  const [, ...rows] = readFileSync(file, "utf8").trim().split("\n");
  const valid: OrderLine[] = [];
  const problems: string[] = [];
  for (const [index, row] of rows.entries()) {
    const line = parseRow(row);
    const problem = Order.safeParse(line).error?.issues[0];
    if (problem === undefined) valid.push(line);
    else problems.push(`line ${index + 2}: ${problem.path.join(".")}: ${problem.message}`);
  }
  return { lines: rows.length, valid, problems };
}

function parseRow(row: string): OrderLine {
  const [orderId, placedAt, email, sku, quantity, unitPrice, country] = row.split(",");
  return {
    orderId: orderId ?? "",
    placedAt: placedAt ?? "",
    email: email ?? "",
    sku: sku ?? "",
    quantity: quantity ?? "",
    unitPrice: unitPrice ?? "",
    country: country ?? "",
  };
}
