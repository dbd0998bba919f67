// A language model behind a rate limit: the run is parked until the limit is reset, and each
// answer is paid for once, also if the process dies before it is recorded.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { defineJob, invokeTrigger } from "pawl";
import { openai } from "pawl/integrations/openai";
import { testJob } from "pawl/testing";

// The service, with OpenAI's API: two answers a minute, and the same answer for the same key.
const answers = new Map<string, string>();
const log: string[] = [];
let left = 2;
const service = createServer(async (request, response) => {
  const key = String(request.headers["idempotency-key"]);
  const { input } = JSON.parse(await text(request)) as { input: string };
  const isNew = !answers.has(key);
  const reply = (status: number, body: unknown, headers = {}) => {
    log.push(`${input}: ${status}${isNew ? "" : " again"}`);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
  if (isNew && left === 0) {
    left = 2;
    const limits = {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "1m0s",
    };
    reply(429, { error: { message: "Slow down.", code: "rate_limit_exceeded" } }, limits);
    return;
  }
  if (isNew) {
    left -= 1;
    answers.set(key, `a poem about ${input}`);
  }
  const content = [{ type: "output_text", text: answers.get(key) }];
  reply(200, { object: "response", output: [{ type: "message", content }] });
});
await once(service.listen(0, "127.0.0.1"), "listening");
const baseURL = `http://127.0.0.1:${(service.address() as AddressInfo).port}/v1`;

const poems = defineJob({
  id: "poems",
  trigger: invokeTrigger(),
  // With OpenAI itself: openai({ apiKey: process.env.OPENAI_API_KEY })
  integrations: { openai: openai({ apiKey: "sk-test", baseURL }) },
  run: async (topics: string[], io) => {
    const texts: string[] = [];
    for (const topic of topics) {
      const answer = await io.openai.responses.create(["poem", topic], {
        model: "gpt-5-mini",
        input: topic,
      });
      texts.push(answer.output_text);
    }
    return texts;
  },
});

// A clock that does not run by itself, and a process that dies when the first answer is there and not recorded.
const { run, output, crashes } = await testJob(poems, {
  payload: ["rain", "tea", "cats"],
  crash: { commit: 1, when: "before" },
});
console.log(log.join("\n"));
console.log(output);
const minutes = Math.floor((Number(run.finishedAt) - Number(run.createdAt)) / 60_000);
console.log(`${crashes} crash, ${answers.size} answers paid for, ${minutes} minute of waiting`);
service.closeAllConnections();
service.close();
