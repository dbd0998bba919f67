import { type Answer, bearerToken, type Call, Double, wrongFields } from "./double.js";

/** Required fields, and optional ones with a question mark. */
const methods: Readonly<Record<string, string>> = {
  "auth.test": "token?",
  "chat.postMessage": "channel text thread_ts? blocks?",
  "chat.postEphemeral": "channel user text",
  "chat.update": "channel ts text",
  "conversations.join": "channel",
  "conversations.open": "users",
  "reactions.add": "channel timestamp name",
  "users.info": "user",
  "users.lookupByEmail": "email",
};
const channels = ["C1", "C2"];

/** Slack, as far as the integration uses it: errors are answers with status 200. */
export class SlackDouble extends Double {
  readonly messages: { readonly team: string; readonly text: unknown }[] = [];
  /** Teams by their tokens. */
  readonly teams = new Map([["xoxb-own", "T1"]]);

  get url(): string {
    return `${this.origin}/api/`;
  }

  protected parse(body: string): Record<string, unknown> {
    return Object.fromEntries(new URLSearchParams(body));
  }

  protected answer(call: Call): Answer {
    const method = call.route.replace("POST /api/", "");
    const fields = methods[method];
    const refused = (error: string) => ({ body: { ok: false, error } });
    if (fields === undefined) return refused("unknown_method");
    const { authorization } = call.headers;
    if (authorization === undefined) return refused("not_authed");
    const team = this.teams.get(bearerToken(call));
    if (team === undefined) return refused("invalid_auth");
    if (wrongFields(call, fields).length > 0) return refused("invalid_arguments");
    const { channel, text } = call.body;
    if (channel !== undefined && !channels.includes(String(channel)))
      return refused("channel_not_found");
    if (method === "chat.postMessage") this.messages.push({ team, text });
    return { body: { ok: true, ...this.#result(method, team, call.body) } };
  }

  #result(method: string, team: string, { channel, user, email }: Call["body"]): object {
    const ts = `${this.messages.length}.000100`;
    if (method === "auth.test") return { team_id: team };
    if (method === "conversations.join") return { channel: { id: channel } };
    if (method === "conversations.open") return { channel: { id: "D1" } };
    if (method.startsWith("users.")) return { user: { id: user ?? "U7", profile: { email } } };
    return { channel, ts };
  }
}
