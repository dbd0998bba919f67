import type { Context } from "./context.js";
import type { ConnectionAuth, Integration } from "./integration.js";

/** Answer of an auth resolver: the account has not connected the service yet, and the run waits until it has. */
export const notConnected: NotConnected = Object.freeze({ kind: "not-connected" });

export interface NotConnected {
  readonly kind: "not-connected";
}

/** What an auth resolver may give: credentials, in either of the forms that trigger.dev v2 knew. */
export type ResolvedAuth =
  | ConnectionAuth
  | {
      readonly type: "apiKey" | "oauth" | "oauth2";
      readonly token: string;
      readonly scopes?: readonly string[];
      readonly additionalFields?: Readonly<Record<string, string>>;
    };

/**
 * Finds the credentials of `context.account` for one integration. Called before
 * `run`, once per integration and execution.
 */
export type AuthResolver = (
  context: Context,
  integration: Integration,
) => ResolvedAuth | NotConnected | undefined | Promise<ResolvedAuth | NotConnected | undefined>;

/** What came of one resolver. */
export type AuthOutcome =
  | { readonly kind: "auth"; readonly auth: ConnectionAuth | undefined }
  | { readonly kind: "notConnected" }
  | { readonly kind: "problem"; readonly message: string };

/** Without a resolver a hosted integration has no credentials; any other brings its own. */
export function withoutResolver({ id, authSource }: Integration): AuthOutcome {
  if (authSource !== "HOSTED") return { kind: "auth", auth: undefined };
  return { kind: "problem", message: `no auth resolver is defined for integration "${id}"` };
}

export function authOutcome(given: unknown): AuthOutcome {
  if (isNotConnected(given)) return { kind: "notConnected" };
  if (given === undefined || given === null)
    return { kind: "problem", message: "its auth resolver gave nothing" };
  const { type, token, accessToken, scopes, additionalFields } = given as Record<string, unknown>;
  const secret = accessToken ?? token;
  const isKnown = type === "apiKey" || type === "oauth" || type === "oauth2";
  if (!isKnown || typeof secret !== "string" || secret === "") {
    const message = `its auth resolver gave no { type: "apiKey" | "oauth2", accessToken }`;
    return { kind: "problem", message };
  }
  const auth = {
    type: type === "apiKey" ? type : "oauth2",
    accessToken: secret,
    ...(scopes === undefined ? undefined : { scopes }),
    ...(additionalFields === undefined ? undefined : { additionalFields }),
  } as ConnectionAuth;
  return { kind: "auth", auth };
}

/** Also of another copy of this library, and thrown. */
export function isNotConnected(given: unknown): boolean {
  return (given as { kind?: unknown } | null | undefined)?.kind === notConnected.kind;
}

/** Counts up each time the account's connection becomes ready. */
export function connectionKey(integrationId: string, accountId: string | undefined): string {
  return `connection:${encodeURIComponent(integrationId)}/${accountId ?? ""}`;
}
