import { type Answer, bearerToken, type Call, Double, wrongFields } from "./double.js";

/** Required fields, and optional ones with a question mark. */
const routes: Readonly<Record<string, string>> = {
  "POST /v1/chat/completions": "model messages stream? temperature?",
  "POST /v1/responses": "model input instructions?",
  "POST /v1/embeddings": "model input encoding_format?",
  "POST /v1/images/generations": "model prompt",
  "POST /v1/moderations": "input model?",
  "GET /v1/models": "",
};

/** OpenAI's API, as far as the integration uses it. A POST with a key that was seen before gets the answer from then. */
export class OpenAIDouble extends Double {
  /** Completions and the like that were made, which cost money. */
  made = 0;
  /** Accounts by their keys. */
  readonly accounts = new Map([["sk-own", "own"]]);
  readonly #answers = new Map<string, { readonly request: string; readonly answer: Answer }>();

  get url(): string {
    return `${this.origin}/v1`;
  }

  protected parse(body: string): Record<string, unknown> {
    return JSON.parse(body) as Record<string, unknown>;
  }

  protected answer(call: Call): Answer {
    const fields = routes[call.route];
    if (fields === undefined)
      return refusal(404, `Unknown request URL: ${call.route}.`, "unknown_url");
    const account = this.accounts.get(bearerToken(call));
    if (account === undefined)
      return refusal(401, "Incorrect API key provided.", "invalid_api_key");
    const wrong = wrongFields(call, fields);
    if (wrong.length > 0) return refusal(400, `Wrong or missing: ${wrong}.`, "invalid_request");
    if (call.route.startsWith("GET"))
      return { body: { object: "list", data: [{ id: "gpt-test", object: "model" }] } };
    const key = call.headers["idempotency-key"];
    if (typeof key !== "string") return refusal(400, "No Idempotency-Key.", "no_idempotency_key");
    const request = JSON.stringify([account, call.route, call.body]);
    const earlier = this.#answers.get(key);
    if (earlier !== undefined && earlier.request !== request)
      return refusal(409, "The key is that of another request.", "idempotency_key_in_use");
    const answer = earlier?.answer ?? this.#make(call, account);
    this.#answers.set(key, { request, answer });
    return answer;
  }

  #make({ route, body }: Call, account: string): Answer {
    this.made += 1;
    const content = `answer ${this.made} for ${account}`;
    const { model } = body;
    if (route.endsWith("completions"))
      return { body: { id: "c1", model, choices: [{ message: { role: "assistant", content } }] } };
    if (route.endsWith("responses")) {
      const output = [{ type: "message", content: [{ type: "output_text", text: content }] }];
      return { body: { id: "r1", object: "response", model, output } };
    }
    if (route.endsWith("embeddings")) return { body: { data: [{ embedding: [0.5, 0.25] }] } };
    if (route.endsWith("moderations")) return { body: { id: "m1", results: [{ flagged: false }] } };
    return { body: { data: [{ url: "https://images.example/1.png" }] } };
  }
}

export function refusal(status: number, message: string, code: string): Answer {
  return { status, body: { error: { message, code, type: "invalid_request_error" } } };
}
