// Jobs in a web app: the request starts a run and answers at once, a second request looks at it.
import type { AddressInfo } from "node:net";
import express from "express";
import { createClient, invokeTrigger, isPawlError } from "pawl";
import { memory } from "pawl/memory";
import { z } from "zod";

const client = createClient({ id: "shop", storage: memory() });

const signUp = client.defineJob({
  id: "sign-up",
  trigger: invokeTrigger({ schema: z.object({ email: z.email() }) }),
  run: async ({ email }, io) => {
    await io.runTask("send-mail", () => `sent to ${email}`);
    return { welcomed: email };
  },
});

const app = express().use(express.json());

app.post("/sign-ups", async (request, response) => {
  try {
    response.status(202).json(await client.invoke(signUp, request.body));
  } catch (error) {
    if (!isPawlError(error, "PAYLOAD_INVALID")) throw error;
    response.status(400).json({ code: error.code, ...error.details });
  }
});

app.get("/runs/:id", async (request, response) => {
  const run = await client.getRun(request.params.id);
  response.status(run === undefined ? 404 : 200).json(run ?? {});
});

await client.start();
const server = app.listen(Number(process.env.PORT ?? 0), () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", () => server.close(() => void client.stop()));
