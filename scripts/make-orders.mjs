// Writes examples/quickstart/orders.csv, the data of `npm run quickstart`: the same file each time.
import { writeFileSync } from "node:fs";

const ORDERS = 2000;
const products = [
  ["MUG-01", 12.5],
  ["TEE-07", 24],
  ["CAP-03", 18.9],
  ["BAG-11", 39],
  ["PEN-02", 3.2],
];
const countries = ["DE", "FR", "GB", "JP", "PL", "SE", "US"];

let seed = 20260101;
function random(below) {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor((seed / 2147483648) * below);
}

const lines = ["order_id,placed_at,email,sku,quantity,unit_price,country"];
for (let n = 1; n <= ORDERS; n++) {
  const id = `A-${String(100000 + n)}`;
  const placedAt = new Date(Date.UTC(2026, 0, 1) + n * 61_000 + random(60_000)).toISOString();
  const [sku, price] = products[random(products.length)];
  const country = countries[random(countries.length)];
  // What real exports are like: some lines are broken, some come twice.
  const email = n % 301 === 0 ? "unknown" : `customer${random(900)}@example.com`;
  const quantity = n % 487 === 0 ? "-1" : String(1 + random(5));
  const line = [id, placedAt, email, sku, quantity, price.toFixed(2), country].join(",");
  lines.push(line);
  if (n % 600 === 0) lines.push(line);
}
writeFileSync(
  new URL("../examples/quickstart/orders.csv", import.meta.url),
  `${lines.join("\n")}\n`,
);
