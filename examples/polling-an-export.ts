// A service makes an export in its own time: asked for once, polled until it is there, then fetched.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

// The service: refuses the first request, and needs three looks to be done.
const keys: unknown[] = [];
let looks = 0;
const service = createServer((request, response) => {
  const answer = (status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (request.method === "POST") {
    keys.push(request.headers["idempotency-key"]);
    answer(keys.length === 1 ? 503 : 202, { id: "export-1" });
  } else if (request.url === "/exports/export-1") {
    looks += 1;
    answer(200, { state: looks < 3 ? "working" : "done", file: "/files/export-1.csv" });
  } else {
    response.writeHead(200, { "content-type": "text/csv" }).end("id,total\no-1,20\no-2,22\n");
  }
});
await once(service.listen(0, "127.0.0.1"), "listening");
const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;

const client = createClient({ storage: memory() });

const fetchExport = client.defineJob({
  id: "fetch-export",
  trigger: invokeTrigger(),
  run: async (_, io) => {
    const { id } = await io.backgroundFetch<{ id: string }>(
      "ask",
      `${url}/exports`,
      { method: "POST", headers: { authorization: "Bearer sk-secret" } },
      { retry: { "5xx": { strategy: "backoff", minTimeoutInMs: 50 } } },
    );
    // Between the polls the run is parked: minutes or hours would hold nothing.
    const { file } = await io.backgroundPoll<{ file: string }>("ready", {
      url: `${url}/exports/${id}`,
      interval: { milliseconds: 100 },
      timeout: "1h",
      responseFilter: { status: [200], body: { state: ["done"] } },
    });
    const csv = await io.backgroundFetch<string>("download", `${url}${file}`);
    return csv.trim().split("\n").length - 1;
  },
});

await client.start();
const { status, output, id } = await client.waitForRun(await client.invoke(fetchExport, {}));
console.log(status, output, "rows");
console.log("asked", keys.length, "times, with the same key:", new Set(keys).size === 1);
const run = await client.getRun(id, { tasks: true, taskDetails: true });
for (const task of run?.tasks ?? []) console.log(task.key, task.attempts.length);
console.log(run?.tasks?.[0]?.params);
await client.stop();
service.closeAllConnections();
service.close();
